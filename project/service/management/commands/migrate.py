"""Django's migrate, of which one at a time is at work on a database.

Two may well start at once: `inv migrate` while a web starts, or a new web whose killed predecessor
the server still serves. The second would apply what the first is about to commit, and fail.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.commands import migrate
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK = int.from_bytes(b"migrate")
POLL_SECONDS = 0.2
# Whose client is gone, or its machine, the server is to end within seconds: it would go on with a
# statement, and keep its locks, with the tables closed to the code that runs.
END_WITH_US = """
    SET client_connection_check_interval = '1s';
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3
"""


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        db = connections[options["database"]]
        if options["plan"] or options["check_unapplied"] or db.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with db.cursor() as cursor:
            cursor.execute(END_WITH_US)
        with alone(db, self.stdout.write):
            super().handle(*args, **options)


@contextmanager
def alone(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold the database's lock of migrations, for which one of another process is waited for.

    Behind a pooler by transaction there is no session to hold it: then without.
    """
    if db.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield
        return
    wait_for_lock(db, tell)
    try:
        yield
    finally:
        with suppress(Error):  # a connection that broke has let go of it
            ask(db, "pg_advisory_unlock")


def wait_for_lock(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> None:
    told = False
    # Asked again and again: a CREATE INDEX CONCURRENTLY of the other would wait for a statement
    # that waits for its end.
    while not ask(db, "pg_try_advisory_lock"):
        if not told:
            tell("Waiting for another migrate on this database to end ...")
            told = True
        time.sleep(POLL_SECONDS)


def ask(db: BaseDatabaseWrapper, function: str) -> bool:
    with db.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
