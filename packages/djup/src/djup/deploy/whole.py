"""Whether a copy that followed the database has all that was ever written to it."""

import time

from djup.deploy import database_client
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.postgres.client import Client

SECONDS, POLL_SECONDS = 60, 0.2
# Where the database is in its log; the checkpoint makes its end a short one.
POSITION = "checkpoint; select pg_current_wal_insert_lsn()"
# A server that was stopped in order has written one last record, which tells so; a copy that has it
# last has all. A restart point makes the copy's control file name it. Who reads could keep the copy
# from repeating what comes.
HAS_ALL = """
\\getenv position POSITION
select pg_terminate_backend(pid) from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() \\g /dev/null
checkpoint;
select checkpoint_lsn = redo_lsn and checkpoint_lsn >= :'position'::pg_lsn
  and pg_last_wal_replay_lsn() - checkpoint_lsn < 512
from pg_control_checkpoint()"""


def position(release: Release, reached: Swarm) -> str:
    """Where the database of a release is in its log, just before it is stopped."""
    with database_client.client(release, reached) as client:
        return client.ask(POSITION, client.database).split()[-1]


def is_reached(copy: Client, position: str) -> bool:
    """Whether the copy has the last record of the database, which has ended since; as soon as it
    has, or after a minute."""
    deadline = time.monotonic() + SECONDS
    while copy.ask(HAS_ALL, copy.database, POSITION=position).split()[-1] != "t":
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
