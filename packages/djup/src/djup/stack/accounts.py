"""Whether the database fits `.env`, as its superuser sees it, and what makes it fit.

A runtime lends two doors: `superuser` runs a psql script past every password, from within, and
`logs_in` tries what the web does. Secrets go to psql by environment alone.
"""

import json
from dataclasses import dataclass

from djup import STATE
from djup.checkout import env_file
from djup.checkout.create import random_word
from djup.host.checkout_lock import one_at_a_time
from djup.postgres import sessions
from djup.postgres.client import MAINTENANCE
from djup.postgres.contents import ANY_TABLE
from djup.postgres.sessions import IdleSession
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

CHANGING = STATE / "password-changing"  # there while .env and the database may differ

NAMES = r"""
\getenv user SQL_USER
\getenv password SQL_PASSWORD
\getenv database SQL_DATABASE
"""
# The statements below hold a password: the server's log must not.
UNLOGGED = r"""
\set VERBOSITY terse
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
"""
# A task that was killed leaves a psql that goes on: the next one's waits for its end.
ALONE = r"""
SELECT pg_advisory_lock(hashtext('inv: roles and databases')) \g /dev/null
"""
# Those that every server has count where they hold a table; one that has a note of ours, or is not
# finished, does not.
FACTS = rf"""{NAMES}
{ANY_TABLE.replace(";", " AS used")} \gset
\connect template1
{ANY_TABLE.replace(";", " AS template_used")} \gset
SELECT json_build_object(
  'roles', (SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolcanlogin),
  'databases', (SELECT array_agg(datname::text ORDER BY datname) FROM pg_database
                WHERE datallowconn AND (datname <> 'postgres' OR :'used'::bool)
                  AND (datname <> 'template1' OR :'template_used'::bool)
                  AND (datname !~ '@' OR NOT datname ~ '@part-'
                    AND coalesce(shobj_description(oid, 'pg_database'), '') !~ '"why":')),
  'has_database', EXISTS (SELECT FROM pg_database WHERE datname = :'database'));
"""
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
SET_PASSWORD = rf"""{NAMES}{UNLOGGED}{ALONE}
ALTER ROLE :"user" PASSWORD :'password';
"""
# As the image does for a new volume: the user is a superuser, and the database is its own.
CREATE = rf"""{NAMES}{UNLOGGED}{ALONE}
SELECT format('CREATE ROLE %I SUPERUSER LOGIN PASSWORD %L', :'user', :'password')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'user') \gexec
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', :'user', :'password')
  FROM pg_roles WHERE rolname = :'user' AND NOT rolcanlogin \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'user')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
"""


@dataclass(frozen=True)
class Accounts:
    """Who may log in, which databases are there, and whether the one in `.env` is."""

    roles: list[str]
    databases: list[str]
    has_database: bool


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


def inside(stack: Stack) -> Inside:
    """What the project's database says of itself."""
    told, idle = _as_superuser(stack, INSIDE + sessions.OPEN).splitlines()
    return Inside(**json.loads(told), idle=sessions.open_ones(idle))


def facts(stack: Stack) -> Accounts:
    """What the server holds."""
    found = json.loads(_as_superuser(stack, FACTS))
    return Accounts(found["roles"] or [], found["databases"] or [], found["has_database"])


def misfit(stack: Stack) -> Problem | None:
    """Why the web is not let in by the stack's own database, by asking it; None where it is."""
    if stack.logs_in():
        return left_behind(stack)
    found, values = facts(stack), stack.settings.values
    if values["SQL_USER"] not in found.roles:
        return _role_missing(stack.settings, found)
    if not found.has_database and found.databases:
        there = ", ".join(found.databases)
        return problem("DB04", name=values["SQL_DATABASE"], databases=there)
    if not found.has_database:
        return problem("DB04.none", name=values["SQL_DATABASE"])
    return problem("DB02", user=values["SQL_USER"])


def _role_missing(settings: Settings, found: Accounts) -> Problem:
    user, name = settings.values["SQL_USER"], settings.values["SQL_DATABASE"]
    roles = ", ".join(found.roles)
    if found.has_database:
        return problem("DB03", user=user, roles=roles)
    return problem("DB03.database", user=user, roles=roles, database=name)


def left_behind(stack: Stack) -> Problem | None:
    """Whether .env names the database that every server has, while the rows are in another one."""
    if stack.settings.values["SQL_DATABASE"] != MAINTENANCE:
        return None
    databases = facts(stack).databases
    if databases and MAINTENANCE not in databases:
        return problem("DB20", name=MAINTENANCE, databases=", ".join(databases))
    return None


def set_password(stack: Stack) -> None:
    """Give the database's user the password that `.env` has; nothing else changes."""
    _change(stack, "db.password", SET_PASSWORD)
    if not this_task.dry:
        console.say(f"{stack.settings.values['SQL_USER']} now has the password from .env")


def new_password(stack: Stack) -> Stack:
    """Give .env and the database a new random password; the stack with it.

    `.env` goes first: killed in between, the next task finishes it (`settle`).
    """
    _refuse_remote(stack)
    with one_at_a_time("db.password"):
        stack.start_database()
        if this_task.dry:
            return stack
        _refuse_missing_role(stack)
        changed = stack.with_values({"SQL_PASSWORD": random_word(32)})
        CHANGING.touch(0o600)
        env_file.write_values({"SQL_PASSWORD": changed.settings.values["SQL_PASSWORD"]})
        _finish_password(changed)
    console.say(f"{changed.settings.values['SQL_USER']} has a new password, here and in .env")
    return changed


def settle(stack: Stack) -> None:
    """Finish a change of the password that was cut off: the database gets what `.env` has."""
    if CHANGING.exists() and stack.settings.has_own_database and not this_task.dry:
        with one_at_a_time("db.password"):
            stack.start_database()
            _finish_password(stack)
        console.say("finished the interrupted change of the password")


def _finish_password(stack: Stack) -> None:
    done = stack.superuser(SET_PASSWORD)
    if done.code:  # another session may have changed the role in this very moment
        _as_superuser(stack, SET_PASSWORD)
    CHANGING.unlink(missing_ok=True)


def create(stack: Stack) -> None:
    """Make the user and the database that `.env` names, as far as they are not there."""
    before = _change(stack, "db.create", CREATE)
    if not before:
        return
    user, name = (stack.settings.values[key] for key in ("SQL_USER", "SQL_DATABASE"))
    if user not in before.roles:
        console.say(f"created the user {user}")
    if not before.has_database:
        rows = f"; your rows stay in {', '.join(before.databases)}" if before.databases else ""
        console.say(f"created the database {name}, which is empty{rows}")


def make(stack: Stack) -> None:
    """Create the user and the database in a server that a runtime has just created."""
    _as_superuser(stack, CREATE)


def _change(stack: Stack, task: str, script: str) -> Accounts | None:
    """Run a script where it can be; the facts of before, or None under --dry."""
    _refuse_remote(stack)
    with one_at_a_time(task):
        stack.start_database()
        if this_task.dry:
            return None
        found = facts(stack)
        if task == "db.password":
            _refuse_missing_role(stack)
        _as_superuser(stack, script)
        CHANGING.unlink(missing_ok=True)  # one that was cut off is finished by this, too
        if cause := misfit(stack):
            raise cause
    return found


def _refuse_remote(stack: Stack) -> None:
    """Raise unless the database is the stack's own, to change."""
    if not stack.settings.has_own_database:
        raise problem("DB12", host=stack.settings.address)


def _refuse_missing_role(stack: Stack) -> None:
    roles = facts(stack).roles
    user = stack.settings.values["SQL_USER"]
    if user not in roles:
        raise problem("DB03", user=user, roles=", ".join(roles))


def _as_superuser(stack: Stack, script: str) -> str:
    done = stack.superuser(script)
    if done.code:
        raise problem("DB10", reason=" ".join(done.err.split()))
    return str(done.out).strip()
