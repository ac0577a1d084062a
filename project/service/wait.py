"""Wait until the database accepts connections."""

import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from .database import address, hopeless, reason

TELL_SECONDS = 5.0


class NoDatabase(Exception):
    """The wait is over and there is no connection; the text is one sentence."""


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
