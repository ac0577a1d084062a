"""The database as it was at a moment: a server of its own on the node of the archive."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from djup.data import backup
from djup.data.backups import Backup
from djup.deploy import archive_lag, archiving, database_client, moments
from djup.deploy.swarm import jobs, swarm_stack, toolbox
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


def save(release: Release, swarm: Swarm, moment: datetime) -> Backup:
    """Make a backup, in backups/ of this checkout, of the database as it was at a moment; the
    caller holds the lock."""
    if not archiving.has_one(release):
        raise problem("DEP64.none")
    whole = _has_all(release, swarm)
    with _recovered(release, swarm, moment, whole=whole) as client:
        if last := client.ask(LAST, client.database):
            console.say(f"recovered; the last change before that moment was at {last}")
        return backup.make(client, f"as of {moments.as_text(moment)}", with_files=False)


def _has_all(release: Release, swarm: Swarm) -> bool:
    """Whether the archive has what the database has, within a while. If so, what it ends with is
    how the data were up to now; if not, a moment that it does not reach is none to restore."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    with database_client.client(release, swarm) as client:
        while (found := archive_lag.lag(client)).bytes or not found.follows:
            if time.monotonic() > deadline:
                return False
            time.sleep(STATE_SECONDS)
    return True


@contextmanager
def _recovered(
    release: Release, swarm: Swarm, moment: datetime, *, whole: bool
) -> Iterator[Client]:
    """PostgreSQL's programs for a server that has the database as it was; it ends with this."""
    service = f"{release.stack}_recover"
    with jobs.removed(service):
        if service in jobs.names(release.stack, toolbox.ROLE):  # of a task that was killed
            process.clean_up(["docker", "service", "rm", service])
        jobs.create_server(release, service, toolbox.ROLE, _words(release, moment, whole))
        _wait(service, moment)
        there = {"DATABASE_HOST": service, "DATABASE_PORT": "5432", "DATABASE_SSLMODE": ""}
        elsewhere = release.with_values(**there, DATABASE_SSLROOTCERT="")
        with database_client.client(elsewhere, swarm) as client:
            yield client


def _words(release: Release, moment: datetime, whole: bool) -> list[str]:
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
        *(moments.as_key(moment), moments.as_text(moment), "whole" if whole else "behind"),
    ]


def _wait(service: str, moment: datetime) -> None:
    """Until its server answers; a problem with its own words if it ends."""
    console.say(f"recovering the database as of {moments.as_text(moment)} ...")
    begun = time.monotonic()
    while True:
        tasks = jobs.tasks(service)
        if any(state == "running" for state, _ in tasks):
            return
        if ended := [error for state, error in tasks if state in jobs.ENDED]:
            said = jobs.last_lines(swarm_stack.logs(service))
            raise _not_recovered(moment, said.splitlines()[-1] if said else ended[0], said)
        waits = [error for state, error in tasks if state in jobs.WAITING]
        if len(waits) == len(tasks) and time.monotonic() - begun > jobs.WAIT_SECONDS:
            raise _not_recovered(moment, "".join(waits[:1]) or "no node has the archive")
        time.sleep(STATE_SECONDS)


def _not_recovered(moment: datetime, why: str, said: str = "") -> Problem:
    return problem("DEP64", said, moment=moments.as_text(moment), why=why)
