"""Wait until the database accepts connections, and until it is migrated."""

import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from . import exits
from .database import address, hopeless, reason
from .migrations_state import MigrationsState, read_migrations

TELL_SECONDS = 5.0


class NoDatabase(Exception):
    """The wait is over and there is no connection; the text is one sentence."""


class NotMigrated(Exception):
    """The database does not fit the code; the text is one sentence, `status` that of exits.py."""

    def __init__(self, sentence: str, status: int = exits.NOT_MIGRATED) -> None:
        super().__init__(sentence)
        self.status = status


def wait_or_end(db: BaseDatabaseWrapper, seconds: int, tell: Callable[[str], object]) -> None:
    """Return once the database is there and migrated, or end this process with one sentence and the
    status of exits.py that says what is missing."""
    try:
        wait_for(db, seconds, tell)
        wait_until_migrated(seconds, tell)
    except NoDatabase as error:
        exits.end(exits.NO_DATABASE, str(error))
    except NotMigrated as error:
        exits.end(error.status, str(error))


def wait_for(db: BaseDatabaseWrapper, seconds: int, tell: Callable[[str], object]) -> None:
    """Return with an open connection, or raise NoDatabase: at once where waiting is no use."""
    started = time.monotonic()
    told = -TELL_SECONDS
    while error := attempt(db):
        waited = time.monotonic() - started
        give_up(db, error, waited, seconds)
        if waited - told >= TELL_SECONDS:
            told = waited
            so_far = progress(waited, seconds)
            tell(f"Waiting for the database at {address(db)} {so_far}: {reason(error)}")
        # Quick at first, when it is merely a moment behind; a longer outage need not be hammered.
        time.sleep(0.1 if waited < TELL_SECONDS else 0.5)


def attempt(db: BaseDatabaseWrapper) -> Exception | None:
    try:
        # A pooler lets clients in while the database behind it is away: only an answer tells.
        with db.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        db.close()
        return error
    return None


def give_up(db: BaseDatabaseWrapper, error: Exception, waited: float, seconds: int) -> None:
    failed = f"Cannot connect to the database at {address(db)}"
    if hopeless(error):
        raise NoDatabase(f"{failed}: {reason(error)}.")
    if waited >= seconds:
        raise NoDatabase(f"{failed} after {seconds} s (DB_WAIT_SECONDS): {reason(error)}.")


def progress(waited: float, seconds: int) -> str:
    return f"({waited:.0f} of {seconds} s)" if waited >= 1 else f"(at most {seconds} s)"


def wait_until_migrated(seconds: int, tell: Callable[[str], object]) -> None:
    """Return when nothing is left to apply, or raise NotMigrated: at once where waiting is no use.

    Another process may be migrating, as in a first deployment.
    """
    started = time.monotonic()
    told = False
    while (state := read_migrations()).obstacle:
        refuse(state)
        waited = time.monotonic() - started
        not_yet = f"{len(state.waiting)} migrations are not applied to the database"
        if waited >= seconds:
            first = state.unapplied[0]
            raise NotMigrated(
                f"{not_yet} after {seconds} s (DB_WAIT_SECONDS), the first is {first}."
            )
        if not told:
            tell(f"Waiting (at most {seconds} s): {not_yet}")
            told = True
        time.sleep(0.5)


def refuse(state: MigrationsState) -> None:
    """Raise if no migrating would help."""
    if state.refusal:
        status = exits.MIGRATIONS_CONFLICT if state.conflicts else state.status
        raise NotMigrated(f"Cannot serve: {state.refusal}.", status)
