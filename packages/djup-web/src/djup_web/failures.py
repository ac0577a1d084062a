"""Failures of migrations that have a name: an exit status, and one sentence with the facts."""

import re

from django.conf import settings
from django.core.management import CommandError
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.exceptions import InconsistentMigrationHistory, NodeNotFoundError
from django.db.migrations.executor import MigrationExecutor

from . import exits, old_users
from .database import sqlstate

THERE_ALREADY = ("42P07", "42701", "42710", "42P06")  # table or index, column, constraint, schema
NOT_THERE = ("42P01", "42703", "42704")
BEFORE = re.compile(r"Migration (\S+) is applied before its dependency ((\w+)\.\S+) on")
LAZY = re.compile(r"lazy reference to '(\w+)\.\w+'")
PARENT = re.compile(r"Migration (\S+) .*parent node \('(\w+)', '(\w+)'\)")
# A server without ICU (as in wheels) has none of the collations of languages.
COLLATION = re.compile(r"^collation \".*\" for encoding|^ICU is not supported in this build")
NAMED = re.compile(r'"([^"]+)"')
# Neither a partitioned table's, which is invalid until its parts have theirs, nor one at work.
INVALID = """
    SELECT format('%%I.%%I', n.nspname, i.relname), t.relname FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid AND i.relkind = 'i'
    JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = i.relnamespace
    WHERE NOT x.indisvalid AND i.relname = %s
"""


class Failure(CommandError):
    """A failure with a name; the text is one sentence."""


def named(error: Exception, db: BaseDatabaseWrapper) -> Failure | None:
    """The failure that an error of a migrate is, if it is one of these."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, DatabaseError):
        return of_collation(error, db) or of_leftovers(error, db)
    if found := broken(error):
        status, sentence = found
        return Failure(f"{sentence}.", returncode=status)
    return None


def broken(error: Exception) -> tuple[int, str] | None:
    """Status and sentence of migrations that do not fit each other, or what the database has."""
    text = str(error)
    if isinstance(error, InconsistentMigrationHistory) and (found := BEFORE.search(text)):
        applied, missing, app = found.groups()
        if app == user_app() and old_users.can_be_kept():
            return exits.OLD_USERS, old_users.sentence(applied)
        if app == user_app():
            return exits.USER_MODEL, other_user_model(applied)
        return (
            exits.HISTORY,
            f"migration {applied} is applied, but {missing}, which it depends on, is not",
        )
    if isinstance(error, ValueError) and (lazy := LAZY.search(text)) and lazy[1] == user_app():
        return exits.USER_MODEL, other_user_model("")
    if isinstance(error, NodeNotFoundError) and (found := PARENT.search(text)):
        name, app, parent = found.groups()
        return (
            exits.MIGRATION_MISSING,
            f"migration {name} depends on {app}.{parent}, which is not a file",
        )
    return None


def user_app() -> str:
    """The app of the project's own user model; '' if it is Django's."""
    app: str = settings.AUTH_USER_MODEL.partition(".")[0]
    return "" if app == "auth" else app


def other_user_model(applied: str) -> str:
    proof = f" ({applied} is applied)" if applied else ""
    return (
        f"AUTH_USER_MODEL is {settings.AUTH_USER_MODEL}, but the database was migrated with "
        f"another user model{proof}"
    )


def of_collation(error: DatabaseError, db: BaseDatabaseWrapper) -> Failure | None:
    """A collation that this server lacks, and another one may have."""
    from .migrations_state import dotted

    said = str(error).splitlines()[0].strip()
    if not COLLATION.search(said):
        return None
    db.close()  # the error may have left it inside a transaction
    failed = next_one(db)
    name = f"Migration {dotted(failed.app_label, failed.name)}" if failed else "A migration"
    return Failure(f"{name} failed: {said}.", returncode=exits.COLLATION)


def of_leftovers(error: DatabaseError, db: BaseDatabaseWrapper) -> Failure | None:
    """What an earlier run has left: an invalid index, or a part of a migration's work."""
    from .migrations_state import dotted

    if sqlstate(error) not in (*THERE_ALREADY, *NOT_THERE):
        return None
    db.close()  # the error may have left it inside a transaction
    failed = next_one(db)
    if failed is None:
        return None
    name, said = dotted(failed.app_label, failed.name), str(error).splitlines()[0].strip()
    if index := invalid_index(said, db):
        sentence = f"Migration {name} failed: {index}, and so: {said}."
        return Failure(sentence, returncode=exits.INVALID_INDEX)
    if sqlstate(error) in NOT_THERE and failed.atomic:
        return None
    sentence = f"Migration {name} failed: {said}. {why_there(failed, db)}."
    return Failure(sentence, returncode=exits.HALF_DONE)


def next_one(db: BaseDatabaseWrapper) -> Migration | None:
    """They are applied one by one, so the first that is not is the one that failed."""
    executor = MigrationExecutor(db)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return plan[0][0] if plan else None


def invalid_index(said: str, db: BaseDatabaseWrapper) -> str:
    found = NAMED.search(said)
    with db.cursor() as cursor:
        cursor.execute(INVALID, [found[1] if found else ""])
        row = cursor.fetchone()
    what = "an interrupted run left the invalid index"
    return f"{what} {row[0]} on {row[1]}" if row else ""


def why_there(failed: Migration, db: BaseDatabaseWrapper) -> str:
    from .migrations_state import load_migrations

    renamed = [
        name for name in load_migrations().unknown if name.startswith(f"{failed.app_label}.")
    ]
    if renamed and db.alias == connection.alias:
        return f"The database has {', '.join(renamed)}, which has no file: was it renamed?"
    if not failed.atomic:
        return "It is not atomic, and an earlier run failed halfway"
    return "It was created by hand, or by code outside of migrations"
