"""Migrate at the start; where that fails, say why and end with a status that tells the cause."""

import traceback
from typing import NoReturn

from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)

from . import exits
from .database import address, reason, unreachable
from .failures import Failure
from .migrations_state import MigrationsState, dotted, read_migrations, what_is_left

# The text of these says all; a traceback would only show the inside of Django.
PLAIN = (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)


def migrate(verbosity: int) -> None:
    try:
        call_command("migrate", interactive=False, verbosity=verbosity)
    except Exception as error:  # Migrations are code: they may fail in any way.
        explain(error)


def explain(error: Exception) -> NoReturn:
    if unreachable(error):
        lost = f"Lost the database at {address()} while migrating: {reason(error)}."
        exits.end(exits.NO_DATABASE, lost)
    if isinstance(error, Failure):
        exits.end(error.returncode, str(error))
    connection.close()  # The error may have left it inside a transaction.
    state = read_migrations()
    # A migration may call a command too: where there is no conflict, that one failed.
    if state.conflicts and isinstance(error, CommandError):
        exits.end(exits.MIGRATIONS_CONFLICT, str(error))
    if not isinstance(error, PLAIN):
        traceback.print_exception(error)
    exits.end(state.status, what_failed(state))


def what_failed(state: MigrationsState) -> str:
    if state.broken:
        return f"{state.broken[0].upper()}{state.broken[1:]}."
    if not state.waiting:
        return "Every migration is applied, but what follows them failed."
    # They are applied one by one, so the first that is not is the one that failed.
    failed = state.waiting[0]
    return f"Migration {dotted(failed.app_label, failed.name)} failed; {what_is_left(failed)}."
