"""The stack's own database as its superuser sees it, on any runtime."""

import shlex
import time
from collections.abc import Sequence
from functools import partial

from djup.doctor.finding import CLOCK_SECONDS, Finding, Fix
from djup.postgres.sessions import IdleSession, end_session
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack import accounts
from djup.stack.accounts import Inside
from djup.stack.causes.migrations import invalid_index
from djup.stack.stack import Stack


def check(stack: Stack) -> list[Finding]:
    """Whether a server that runs fits `.env`, and keeps the same time as Django."""
    cause = accounts.misfit(stack)
    if cause:
        # Only a password can be set without asking what was meant.
        fix = (
            Fix("inv db.password", partial(_set_password, stack)) if cause.code == "DB02" else None
        )
        return [Finding("database", "does not fit .env", cause, fix, restarts=True)]
    return [Finding("database", "accepts the login in .env"), *_facts(stack)]


def _set_password(stack: Stack) -> None:
    accounts.set_password(stack)
    stack.up()  # what died of it starts again


def _facts(stack: Stack) -> list[Finding]:
    told = accounts.inside(stack)
    return [
        *_indexes(told),
        open_transactions(told.idle, "inv psql"),
        *_clock(stack.settings, told),
    ]


def open_transactions(
    found: Sequence[IdleSession], psql: str, subject: str = "transactions"
) -> Finding:
    """Whether a session keeps a migration, or a `nuke`, waiting."""
    if not found:
        return Finding(subject, "none is idle with locks on a table")
    pids = [str(session.pid) for session in found]
    told = "; ".join(str(session) for session in found)
    is_open = problem("DB21", sessions=told, end_session=end_session(pids, psql))
    return Finding(subject, "one is idle with locks on a table", is_open)


def _indexes(told: Inside) -> list[Finding]:
    if not told.invalid:
        return [Finding("indexes", "all valid")]
    return [
        Finding("indexes", f"{index} is invalid", invalid_index(_invalid(index, table), index))
        for index, table in told.invalid
    ]


def _invalid(index: str, table: str) -> str:
    return f"the index {index} on {table} is invalid: its creation was interrupted, or failed."


def _clock(settings: Settings, told: Inside) -> list[Finding]:
    ahead = round(told.clock - time.time())
    if abs(ahead) > CLOCK_SECONDS:
        clock = problem("SYS03", service="db", seconds=abs(ahead))
        return [Finding("clock", "the clock of the database differs", clock)]
    if told.offset:
        user, database = settings.values["SQL_USER"], settings.values["SQL_DATABASE"]
        sql = f'alter role "{user}" in database "{database}" set timezone = \'UTC\''
        differs = problem("SYS04", zone=told.zone, statement=shlex.quote(sql))
        return [Finding("time zone", told.zone, differs)]
    return [Finding("time zone", told.zone)]
