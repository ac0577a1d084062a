"""The stack's own database as its superuser sees it, on any runtime."""

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from djup.doctor.finding import CLOCK_SECONDS, Finding, Fix
from djup.postgres import sessions
from djup.postgres.sessions import IdleSession, end_session
from djup.problems import WrongPassword, problem
from djup.settings.settings import Settings
from djup.stack import accounts
from djup.stack.causes import login
from djup.stack.causes.login import NAMES, as_superuser
from djup.stack.causes.migrations import invalid_index
from djup.stack.stack import Stack

INSIDE = rf"""{NAMES}
\connect :"database" :"user"
SELECT json_build_object('clock', extract(epoch FROM clock_timestamp()),
  'zone', current_setting('TimeZone'), 'offset', extract(timezone FROM now()),
  'invalid', (SELECT coalesce(json_agg(json_build_array(format('%I.%I', n.nspname, i.relname),
      t.relname) ORDER BY i.relname), '[]')
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid AND i.relkind = 'i'
    JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = i.relnamespace
    WHERE NOT x.indisvalid
      AND x.indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index)));
"""


@dataclass(frozen=True)
class Inside:
    """The server's clock (seconds since 1970), its time zone and that one's offset in seconds; and
    the invalid indexes, each with its table, that nobody is about to make; `idle` are the sessions
    that hold a table, and do nothing."""

    clock: float
    zone: str
    offset: int
    invalid: list[list[str]]
    idle: list[IdleSession]


def check(stack: Stack) -> list[Finding]:
    """Whether a server that runs fits `.env`, and keeps the same time as Django."""
    cause = login.misfit(stack)
    if cause:
        fix = Fix("inv db.password", partial(_set_password, stack))
        # Only a password can be set without asking what was meant.
        safe = fix if isinstance(cause, WrongPassword) else None
        return [Finding("database", "does not fit .env", cause, safe, restarts=True)]
    return [Finding("database", "accepts the login in .env"), *_facts(stack)]


def _set_password(stack: Stack) -> None:
    accounts.set_password(stack)
    stack.up()  # what died of it starts again


def _facts(stack: Stack) -> list[Finding]:
    told = _inside(stack)
    return [
        *_indexes(told),
        open_transactions(told.idle, "inv psql"),
        *_clock(stack.settings, told),
    ]


def open_transactions(
    idle: Sequence[IdleSession], psql: str, subject: str = "transactions"
) -> Finding:
    """Whether a session keeps a migration, or a `nuke`, waiting."""
    if not idle:
        return Finding(subject, "none is idle with locks on a table")
    pids = [str(session.pid) for session in idle]
    told = "; ".join(str(session) for session in idle)
    is_open = problem("DB21", sessions=told, end_session=end_session(pids, psql))
    return Finding(subject, "one is idle with locks on a table", is_open)


def _inside(stack: Stack) -> Inside:
    """What the project's database says of itself."""
    told, idle = as_superuser(stack, INSIDE + sessions.OPEN).splitlines()
    return Inside(**json.loads(told), idle=sessions.open_ones(idle))


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
