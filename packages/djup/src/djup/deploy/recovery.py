"""The database as it was at a moment: a server of its own on the node of the archive."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from djup.data import backup
from djup.data.backups import Backup
from djup.deploy import archive_lag, archiving, database_client, moments
from djup.deploy.swarm import jobs, toolbox
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.host import process
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.terminal import console

PROGRAM = "/recover.sh"
READY = ("test -e /tmp/ready", "500ms", "24h")  # as long as recovering takes
CATCH_UP_SECONDS = 30
STATE_SECONDS = 1
LAST = "select coalesce(pg_last_xact_replay_timestamp()::text, '')"
# A change that is later than any moment before it: whoever repeats the changes up to such a moment
# meets it, and knows that none is missing. Then where it ends, in which database, and when it is.
MARK = """
select from pg_logical_emit_message(true, 'djup', 'a restore');
select pg_current_wal_insert_lsn(), system_identifier, clock_timestamp() from pg_control_system()"""


@dataclass(frozen=True)
class Mark:
    """The identifier of the database, and its time."""

    system: str
    time: datetime


def save(release: Release, swarm: Swarm, text: str) -> Backup:
    """Make a backup, in backups/ of this checkout, of the database as it was at a moment (`--at`);
    the caller holds the lock."""
    if not archiving.has_one(release):
        raise problem("DEP64.none")
    mark = _marked(release, swarm)
    moment = moments.parsed(text, mark.time)
    with _recovered(release, swarm, moment, mark.system) as client:
        if last := client.ask(LAST, client.database):
            console.say(f"recovered; the last change up to that moment was at {last}")
        return backup.make(client, f"as of {moments.as_text(moment)}", with_files=False)


def _marked(release: Release, swarm: Swarm) -> Mark:
    """Have the database write something now, and wait a while until the archive has it."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    with database_client.client(release, swarm) as client:
        position, system, moment = client.ask(MARK, client.database).split("|")
        while not archive_lag.reached(client, position) and time.monotonic() < deadline:
            time.sleep(STATE_SECONDS)
    return Mark(system, datetime.fromisoformat(moment))


@contextmanager
def _recovered(release: Release, swarm: Swarm, moment: datetime, system: str) -> Iterator[Client]:
    """PostgreSQL's programs for a server that has the database as it was; it ends with this."""
    label = archiving.label(release.stack)
    if len(nodes := swarm.labelled(label)) != 1:
        raise _not_recovered(moment, f"{len(nodes)} nodes have the label {label}")
    service = f"{release.stack}_recover"
    with jobs.removed(service):
        if service in jobs.names(release.stack, toolbox.ROLE):  # of a task that was killed
            process.clean_up(["docker", "service", "rm", service])
        jobs.create_server(release, service, toolbox.ROLE, _words(release, moment, system))
        _wait(service, moment)
        with database_client.client(database_client.at(release, service), swarm) as client:
            yield client


def _words(release: Release, moment: datetime, system: str) -> list[str]:
    values = release.values
    test, interval, start = READY
    program = f"source={values['ARCHIVE_RECOVER_CONFIG']},target={PROGRAM}"
    password = f"source={values['SQL_PASSWORD_SECRET']},target=sql_password,mode=0400"
    return [
        *("--constraint", f"node.labels.{archiving.label(release.stack)} == true"),
        *("--config", program, "--secret", password),
        *("--env", f"PGUSER={values['SQL_USER']}", "--env", f"PGDATABASE={values['SQL_DATABASE']}"),
        *("--mount", f"type=volume,source={release.stack}_archive,target=/archive,readonly"),
        *("--health-cmd", test, "--health-interval", interval, "--health-start-period", start),
        *("--entrypoint", f"sh {PROGRAM}", values["POSTGRES_IMAGE"]),
        *(moments.as_key(moment), moments.as_text(moment), system),
    ]


def _wait(service: str, moment: datetime) -> None:
    """Until its server answers; a problem with its own words if it ends."""
    console.say(f"recovering the database as of {moments.as_text(moment)} ...")
    done = jobs.started(service)
    if not done.good:
        last = done.said.splitlines()[-1] if done.said else done.error
        raise _not_recovered(moment, last, done.said)


def _not_recovered(moment: datetime, why: str, said: str = "") -> Problem:
    return problem("DEP64", said, moment=moments.as_text(moment), why=why)
