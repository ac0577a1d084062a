"""How a migrate waits for locks: shortly, again and again, for a while, and never without a word.

Whoever comes after a statement that waits for a table's lock waits as well. So a lock is waited for
two seconds at most; then the migration is rolled back, those who came pass, and it is tried again.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
from django.db.transaction import atomic
from djup_web.env import integer

from . import exits
from .database import sqlstate
from .failures import Failure
from .holders import Watch, watched

# More than deadlock_timeout (1 s), after which PostgreSQL ends an autovacuum that is in the way.
LOCK_SECONDS: float = 2
PAUSES: tuple[float, ...] = (1, 2, 3, 5)  # seconds, the last one again and again
NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
# These may commit on their way, or leave something behind: after an error they are not run again.
KEEPS = re.compile(
    r"\b(CONCURRENTLY|COMMIT|END|ROLLBACK|CALL|DO|EXECUTE|VACUUM|CLUSTER|REINDEX)\b", re.IGNORECASE
)
ENDS_TRANSACTION = re.compile(r"\b(COMMIT|ROLLBACK(?! TO)|CALL|DO)\b", re.IGNORECASE)
# A lock that it waits for stops nobody who reads or writes, and to break it off leaves an index.
CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)
READS = re.compile(r"\s*SELECT\b", re.IGNORECASE)

T = TypeVar("T")
PATIENCE: "ContextVar[Patience | None]" = ContextVar("patience", default=None)


class Locked(Failure):
    """A lock was not to be had; the text is one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, returncode=exits.LOCKED)


class Patience:
    """How long a migrate may still wait for locks in all, and what it says of them."""

    def __init__(
        self, db: BaseDatabaseWrapper, watch: Watch, seconds: float, tell: Callable[[str], object]
    ) -> None:
        self.db, self.watch, self.tell = db, watch, tell
        self.left = self.seconds = seconds
        self.turns = 0
        self.kept = False  # whether what failed has left something behind

    def until_done(self, attempt: Callable[[], T]) -> T:
        """Try again what was rolled back for want of a lock; the last error is raised."""
        while True:
            began = time.monotonic()
            self.kept = False
            try:
                return attempt()
            except OperationalError as error:
                self.left -= time.monotonic() - began
                if not lacks_lock(error) or self.kept or self.left <= 0:
                    raise
                self.pause()

    def pause(self) -> None:
        seconds = PAUSES[min(self.turns, len(PAUSES) - 1)]
        self.turns += 1
        self.left -= seconds
        self.tell(f"Waiting for a lock: {self.watch.waiting}. Trying again in {seconds} s")
        time.sleep(seconds)

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Run a statement; outside a transaction it is tried again by itself.

        Inside one, whoever began that has to. The signature is Django's, for an execute_wrapper.
        """
        text = str(sql)

        def run() -> Any:
            return self.timed(execute, sql, params, many, context)

        if self.db.in_atomic_block:
            self.kept = self.kept or bool(ENDS_TRANSACTION.search(text))
            return run()
        try:
            return self.once(run, text) if many or KEEPS.search(text) else self.until_done(run)
        finally:  # committed, whatever becomes of what follows
            self.kept = self.kept or not READS.match(text)

    def once(self, run: Callable[[], T], text: str) -> T:
        if not CONCURRENTLY.search(text):
            return run()
        began = time.monotonic()
        set_timeout(self.db, 0)
        try:
            return run()
        finally:
            self.left -= time.monotonic() - began
            set_timeout(self.db, LOCK_SECONDS)

    def timed(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Run a statement, and have the watch know since when."""
        self.watch.began = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:
            self.watch.began = None

    def sentence(self, migration: Migration | None = None) -> str:
        what = "The steps after the migrations were not done"
        stays = ""
        if migration:
            what = f"Migration {migration.app_label}.{migration.name} was not applied"
            stays = "its earlier changes stay; inv doctor lists invalid indexes"
            if migration.atomic and not self.kept:
                stays = "the database is unchanged"
        waited = f"after {self.seconds - max(self.left, 0):.0f} s"
        return f"{what}: {waited} {self.watch.waiting}; {stays}".rstrip("; ") + "."


class PatientExecutor(MigrationExecutor):
    """Applies migrations, and waits with patience for the locks of each."""

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        apply, patience = super().apply_migration, PATIENCE.get()

        def attempt() -> ProjectState:
            # An attempt changes the state that it is given.
            return apply(state.clone() if patience else state, migration, fake, fake_initial)

        return patiently(patience, migration, attempt, "database_forwards")

    def unapply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False
    ) -> ProjectState:
        unapply = super().unapply_migration
        attempt = partial(unapply, state, migration, fake)
        return patiently(PATIENCE.get(), migration, attempt, "database_backwards")


def patiently(
    patience: Patience | None, migration: Migration, attempt: Callable[[], T], way: str
) -> T:
    if patience is None:
        return attempt()
    with short_locks(patience.db), patience.db.execute_wrapper(patience.execute):
        try:
            if migration.atomic:
                return patience.until_done(attempt)
            with savepoints(patience, migration, way):
                return attempt()
        except OperationalError as error:
            if lacks_lock(error) or patience.watch.gave_up:
                raise Locked(patience.sentence(migration)) from error
            raise


@contextmanager
def patient(db: BaseDatabaseWrapper, tell: Callable[[str], object]) -> Iterator[None]:
    """Have every migration that is applied meanwhile wait so."""
    seconds = integer(os.environ, "LOCK_WAIT_SECONDS", 60, low=0, high=86400)
    with watched(db, seconds, tell) as watch:
        patience = Patience(db, watch, seconds, tell)
        token = PATIENCE.set(patience)
        try:
            with db.execute_wrapper(patience.timed):
                yield
        except OperationalError as error:  # of what Django does before and after the migrations
            if watch.gave_up:
                raise Locked(patience.sentence()) from error
            raise
        finally:
            PATIENCE.reset(token)


@contextmanager
def short_locks(db: BaseDatabaseWrapper) -> Iterator[None]:
    set_timeout(db, LOCK_SECONDS)
    try:
        yield
    finally:
        with suppress(Error), db.cursor() as cursor:  # a connection that broke has none
            cursor.execute("RESET lock_timeout")


def set_timeout(db: BaseDatabaseWrapper, seconds: float) -> None:
    # Past the wrapper of whoever calls this.
    with db.connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{seconds}s'")


@contextmanager
def savepoints(patience: Patience, migration: Migration, way: str) -> Iterator[None]:
    """Of a migration that is not atomic: an operation that is can be tried again by itself."""
    alone = [operation for operation in migration.operations if operation.atomic]
    for operation in alone:
        setattr(operation, way, in_savepoint(patience, getattr(operation, way)))
    try:
        yield
    finally:
        for operation in alone:
            delattr(operation, way)


def in_savepoint(patience: Patience, work: Callable[..., None]) -> Callable[..., None]:
    def attempt(*arguments: Any) -> None:
        with atomic(patience.db.alias):
            work(*arguments)

    return lambda *arguments: patience.until_done(lambda: attempt(*arguments))


def lacks_lock(error: BaseException) -> bool:
    return sqlstate(error) in (NOT_AVAILABLE, DEADLOCK)
