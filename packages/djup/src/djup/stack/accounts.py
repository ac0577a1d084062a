"""The user and the database that `.env` names: created, and given the password, in the server."""

from djup import STATE
from djup.checkout import env_file
from djup.checkout.create import random_word
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.stack.causes.login import NAMES, Accounts, as_superuser, facts, misfit
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

CHANGING = STATE / "password-changing"  # there while .env and the database may differ

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
        as_superuser(stack, SET_PASSWORD)
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
    as_superuser(stack, CREATE)


def _change(stack: Stack, task: str, script: str) -> Accounts | None:
    """Run a script where it can be; the facts of before, or None under --dry."""
    _refuse_remote(stack)
    with one_at_a_time(task):
        stack.start_database()
        if this_task.dry:
            return None
        before = facts(stack)
        if task == "db.password":
            _refuse_missing_role(stack)
        as_superuser(stack, script)
        CHANGING.unlink(missing_ok=True)  # one that was cut off is finished by this, too
        if cause := misfit(stack):
            raise cause
    return before


def _refuse_remote(stack: Stack) -> None:
    """Raise unless the database is the stack's own, to change."""
    if not stack.settings.has_own_database:
        raise problem("DB12", host=stack.settings.address)


def _refuse_missing_role(stack: Stack) -> None:
    roles = facts(stack).roles
    user = stack.settings.values["SQL_USER"]
    if user not in roles:
        raise problem("DB03", user=user, roles=", ".join(roles))
