"""Django's migrate, of which one at a time is at work on a database.

Two may well start at once: `inv migrate` while a web starts, or a new web whose killed predecessor
the server still serves. The second would apply what the first is about to commit, and fail.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from djup_web import exits, failures, migrating
from djup_web.patience import PatientExecutor, patient

LOCK = int.from_bytes(b"migr", "big")
POLL_SECONDS = 0.2
HOLDER = """
    SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND granted
    AND classid = 0 AND objid = %s
"""
# Whose client is gone, or its machine, the server is to end within seconds: it would go on with a
# statement, and keep its locks, with the tables closed to the code that runs.
END_WITH_US = """
    SET client_connection_check_interval = '1s';
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3
"""


# By this name Django's command makes the one that applies migrations.
vars(migrate)["MigrationExecutor"] = PatientExecutor


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        db = connections[options["database"]]
        only_reads = options["plan"] or options["check_unapplied"]
        at_work = nullcontext() if only_reads or not has_sessions(db) else one(db, self.tell)
        try:
            with at_work:
                super().handle(*args, **options)
        except KeyboardInterrupt:
            raise CommandError("interrupted", returncode=128 + signal.SIGINT) from None
        except Exception as error:  # migrations are code: they may fail in any way
            if named := failures.named(error, db):
                raise named from error
            log = os.environ.get("MIGRATE_LOG")  # set by who then says what to type
            if not log or not migrating.is_in_a_migration(error):
                raise
            show = partial(migrating.show_end, log=log)
            # With a target, the first that is not applied need not be the one that failed.
            if options["app_label"] or options["database"] != DEFAULT_DB_ALIAS:
                show(error)
                exits.end(exits.NOT_MIGRATED, "The last migration named above failed.")
            migrating.explain(error, show)

    def tell(self, line: str) -> None:
        """Say something while a line of Django's may be unfinished."""
        self.stdout.write(f"\n{line}")
        self.stdout.flush()


@contextmanager
def one(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> Iterator[None]:
    """Be the one migrate that is at work, and wait patiently for the locks of others."""
    with alone(db, tell), patient(db, tell):
        yield


def has_sessions(db: BaseDatabaseWrapper) -> bool:
    """Whether the server knows us from one statement to the next; by a pooler it does not."""
    pooled = db.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    return db.vendor == "postgresql" and not pooled


@contextmanager
def alone(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold the database's lock of migrations, for which one of another process is waited for."""
    with db.cursor() as cursor:
        cursor.execute(END_WITH_US)
    wait_for_lock(db, tell)
    try:
        yield
    finally:
        with suppress(Error):  # a connection that broke has let go of it
            ask(db, "SELECT pg_advisory_unlock(%s)")


def wait_for_lock(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> None:
    told = None
    # Asked again and again: a CREATE INDEX CONCURRENTLY of the other would wait for a statement
    # that waits for its end.
    while not ask(db, "SELECT pg_try_advisory_lock(%s)"):
        if (holder := ask(db, HOLDER)) not in (None, told):
            tell(
                f"Waiting for another migrate on this database to finish (server process {holder})"
            )
            told = holder
        time.sleep(POLL_SECONDS)


def ask(db: BaseDatabaseWrapper, question: str) -> int | None:
    with db.cursor() as cursor:
        cursor.execute(question, [LOCK])
        found = cursor.fetchone()
        return found[0] if found else None
