"""One process at a time runs the schedule, wherever it is: PostgreSQL says which.

An advisory lock belongs to a session, so this one is kept open, and goes to the server itself: a
pooler by transaction has another session for the next statement. Whoever loses the session has
lost the lock.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from djup_web.databases import direct

LOCK = int.from_bytes(b"sche", "big")
# Both ends are to notice within seconds that the other is gone (libpq's, in seconds and ms).
ALIVE = {
    "connect_timeout": 3,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
OF_SERVER = """
    SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;
    SET application_name = 'djup schedule'
"""
TAKE, GIVE = "SELECT pg_try_advisory_lock(%s)", "SELECT pg_advisory_unlock(%s)"
HELD = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND granted
        AND locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1
    )
"""


class Lock:
    """The database's lock of the schedule, on a connection of its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.db = _connection(environ)
        self.held = False

    def take(self) -> bool:
        """Whether this process now has the lock; Error where the server cannot be asked."""
        if self.db.connection is None:
            with self.db.cursor() as cursor:
                cursor.execute(OF_SERVER)
        self.held = self._ask(TAKE)
        return self.held

    def check(self) -> bool:
        """Whether it still has the lock; Error where the server cannot be asked."""
        self.held = self._ask(HELD)
        return self.held

    def release(self) -> None:
        """Let another have it at once; the end of the session would be the end of the lock, too."""
        if self.held:
            with suppress(Error), self.db.cursor() as cursor:
                cursor.execute(GIVE, [LOCK])
        self._forget()

    def _ask(self, question: str) -> bool:
        try:
            with self.db.cursor() as cursor:
                cursor.execute(question, [LOCK])
                return bool(cursor.fetchone()[0])
        except Error:
            self._forget()
            raise

    def _forget(self) -> None:
        self.held = False
        self.db.close()


class NoLock:
    """In the place of one where the database is a file, which one machine alone has."""

    held = False

    def take(self) -> bool:
        self.held = True
        return True

    def check(self) -> bool:
        return True

    def release(self) -> None:
        self.held = False


def lock(environ: Mapping[str, str]) -> Lock | NoLock:
    """The lock for the default database."""
    return Lock(environ) if connections["default"].vendor == "postgresql" else NoLock()


def _connection(environ: Mapping[str, str]) -> BaseDatabaseWrapper:
    """A connection like the default one, but to the server itself."""
    db: BaseDatabaseWrapper = connections["default"].copy()
    folder = Path(getattr(settings, "BASE_DIR", "") or Path.cwd())
    chosen: dict[str, Any] = direct(db.settings_dict, environ, folder)
    if not chosen:
        raise ImproperlyConfigured(
            "The schedule needs a session at the database server: with SQL_POOLED set, "
            "DATABASE_HOST and DATABASE_PORT must say where that is."
        )
    db.settings_dict.update(chosen)
    db.settings_dict["OPTIONS"] = {**chosen["OPTIONS"], **ALIVE}
    return db
