"""Migrate at the start; where that fails, say why and end with a status that tells the cause."""

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)

from . import exits, own_code
from .database import address, reason, unreachable
from .failures import Failure
from .masking import masked
from .migrations_state import MigrationsState, dotted, read_migrations, what_is_left

ON_STDERR = "-"
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


def explain(
    error: Exception, show: Callable[[Exception], None] = traceback.print_exception
) -> NoReturn:
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
        show(error)
    exits.end(state.status, what_failed(state))


def what_failed(state: MigrationsState) -> str:
    if state.broken:
        return f"{state.broken[0].upper()}{state.broken[1:]}."
    if not state.waiting:
        return "All migrations are applied, but a later step failed."
    # They are applied one by one, so the first that is not is the one that failed.
    failed = state.waiting[0]
    return f"Migration {dotted(failed.app_label, failed.name)} failed; {what_is_left(failed)}."


def is_in_a_migration(error: Exception) -> bool:
    """Whether it is code of a migration that failed, rather than what was asked for."""
    return not (isinstance(error, (CommandError, *PLAIN)) or unreachable(error))


def show_end(error: Exception, log: str) -> None:
    """Print the end of a traceback, all of which goes into the file `log`."""
    whole = masked("".join(traceback.format_exception(error)))
    with suppress(OSError):  # where the file cannot be written, all of it is printed
        if log != ON_STDERR:
            Path(log).write_text(whole, encoding="utf-8")
            whole = masked("".join(["\n", *end_of(error)]))  # after Django's unfinished line
    print(whole, file=sys.stderr, end="")


def end_of(error: Exception) -> list[str]:
    """The last two steps in the project's own code, else the last one, and the exception."""
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps if is_users_own(Path(step.filename))]
    return [*traceback.format_list(own[-2:] or steps[-1:]), *traceback.format_exception_only(error)]


def is_users_own(file: Path) -> bool:
    return own_code.is_own(file) and file.name != "manage.py"
