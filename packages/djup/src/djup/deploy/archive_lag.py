"""How far the archive is behind the database, as the database tells."""

from dataclasses import dataclass

from djup.deploy import archiving, database_client
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.terminal import console

SLOT = "archive"  # and the name of its connection
MOST_BYTES, MOST_SECONDS = 64 * 1024 * 1024, 60  # behind: then somebody is to look
LAG = f"""
select count(*), coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)), 0)::bigint,
  coalesce(max(extract(epoch from flush_lag)), 0)
from pg_stat_replication where application_name = '{SLOT}'"""
# Once its connection has ended, which takes a moment.
FORGET = f"""
do $$ begin
  for i in 1..40 loop
    exit when not exists (select from pg_replication_slots where slot_name = '{SLOT}' and active);
    perform pg_sleep(0.5);
  end loop;
  perform pg_drop_replication_slot(slot_name)
    from pg_replication_slots where slot_name = '{SLOT}' and not active;
end $$"""


@dataclass(frozen=True)
class Lag:
    """How far the archive is behind the database, which tells; `follows` is whether it is there."""

    follows: bool
    bytes: int
    seconds: float

    @property
    def cause(self) -> Problem | None:
        """What is wrong with it; None if nothing is."""
        if not self.follows:
            return problem("DEP63")
        if self.bytes > MOST_BYTES or self.seconds > MOST_SECONDS:
            size, seconds = console.size(self.bytes), round(self.seconds)
            return problem("DEP63.behind", size=size, seconds=seconds)
        return None

    def in_words(self) -> str:
        """For the person at the terminal."""
        if not self.follows:
            return "archive: does not follow"
        return f"archive: {console.size(self.bytes)} and {self.seconds:.1f} s behind"


UNKNOWN = Lag(follows=False, bytes=0, seconds=0.0)


def lag(client: Client) -> Lag:
    """Ask the database how far its archive is."""
    count, size, seconds = client.ask(LAG, client.database).split("|")
    return Lag(count != "0", int(size), float(seconds))


def forget(before: Release | None, release: Release, reached: Swarm) -> None:
    """Have the database keep nothing for an archive that is no more."""
    had_one = before is not None and archiving.has_one(before)
    if had_one and release.has_own_database and not archiving.has_one(release):
        with database_client.client(release, reached) as client:
            client.ask(FORGET, client.database)
