"""The stack's own database as its superuser sees it, on any runtime."""

import time
from collections.abc import Sequence
from functools import partial

from ops import database, problems, runtimes
from ops.checks import Finding, Fix
from ops.database import Inside
from ops.env import Settings
from ops.sessions import Session

CLOCK_SECONDS = 60


def check(settings: Settings) -> list[Finding]:
    """Whether a server that runs fits `.env`, and keeps the same time as Django."""
    problem = database.misfit(settings)
    if problem:
        # Only a password can be set without asking what was meant.
        fix = Fix("inv db.password", partial(_mend, settings)) if problem.code == "DB02" else None
        return [Finding("database", "does not fit .env", problem, fix)]
    return [Finding("database", "lets in who .env names"), *_facts(settings)]


def _mend(settings: Settings) -> None:
    database.set_password(settings)
    runtimes.of(settings).up(settings)  # what died of it starts again


def _facts(settings: Settings) -> list[Finding]:
    told = database.inside(settings)
    return [
        *_indexes(told),
        open_transactions(database.open_sessions(settings), "inv psql"),
        *_clock(settings, told),
    ]


def open_transactions(
    found: Sequence[Session], psql: str, subject: str = "transactions"
) -> Finding:
    """Whether a session keeps a migration, or a `nuke`, waiting."""
    if not found:
        return Finding(subject, "none holds a table and does nothing")
    pids = [str(session.pid) for session in found]
    problem = problems.transaction_open([str(session) for session in found], pids, psql)
    return Finding(subject, "one is open, and does nothing", problem)


def _indexes(told: Inside) -> list[Finding]:
    if not told.invalid:
        return [Finding("indexes", "all valid")]
    return [
        Finding(
            "indexes", f"{index} is invalid", problems.index_invalid(_invalid(index, table), index)
        )
        for index, table in told.invalid
    ]


def _invalid(index: str, table: str) -> str:
    return f"the index {index} on {table} is invalid: its making was broken off, or failed."


def _clock(settings: Settings, told: Inside) -> list[Finding]:
    ahead = round(told.clock - time.time())
    if abs(ahead) > CLOCK_SECONDS:
        return [Finding("clock", "the database's differs", problems.clock_off("db", abs(ahead)))]
    if told.offset:
        problem = problems.time_zone(
            told.zone, settings.values["SQL_USER"], settings.values["SQL_DATABASE"]
        )
        return [Finding("time zone", told.zone, problem)]
    return [Finding("time zone", told.zone)]
