"""For whom a statement of ours waits; and Ctrl-C, which a driver that waits does not hear."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

LOOK_SECONDS = 0.25
SLOW_SECONDS = 0.5  # a statement that takes longer may be waiting
TELL_SECONDS = 3  # of one that nothing breaks off before
SHOWN = 3
# Those first that wait for nobody themselves: they keep the others waiting, too.
HOLDERS = """
    SELECT a.pid, a.usename, a.application_name, host(a.client_addr), a.backend_type, a.state,
        to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
        extract(epoch FROM clock_timestamp() - a.xact_start)::int,
        left(regexp_replace(a.query, '\\s+', ' ', 'g'), 160)
    FROM (SELECT DISTINCT unnest(pg_blocking_pids(%s)) AS pid) b JOIN pg_stat_activity a USING (pid)
    ORDER BY cardinality(pg_blocking_pids(a.pid)), a.xact_start
"""
PREPARED = """
    SELECT gid, owner, to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    FROM pg_prepared_xacts WHERE database = current_database() AND 0 = ANY(pg_blocking_pids(%s))
"""
WANTED = """
    SELECT relation::regclass::text FROM pg_locks
    WHERE pid = %s AND NOT granted AND relation IS NOT NULL
"""


@dataclass(frozen=True)
class Waiting:
    """The table whose lock a statement waits for ('' if it is not a table's), and its holders."""

    table: str = ""
    holders: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"the lock on {self.table}" if self.table else "the lock that it needs"
        shown = "; ".join(self.holders[:SHOWN]) or "a session that has ended in the meantime"
        return f"{what} is held by {shown}"


class Watch(threading.Thread):
    """Sees, next to a migrate, for whom that waits, on a connection of its own.

    It cancels the statement after Ctrl-C, and one that has waited for `limit` seconds.
    """

    def __init__(
        self, db: BaseDatabaseWrapper, limit: float, tell: Callable[[str], object]
    ) -> None:
        super().__init__(daemon=True)
        self.db, self.limit, self.tell = db, limit, tell
        self.pid = ask(db, "SELECT pg_backend_pid()")[0][0]
        self.began: float | None = None  # of the statement that is at work
        self.waits_since: float | None = None
        self.told: float | None = None  # the statement of which it was said
        self.waiting = Waiting()
        self.gave_up = False
        self.signals, self.wakeup = os.pipe()
        self.stopped, self.stopping = os.pipe()
        os.set_blocking(self.wakeup, False)

    def run(self) -> None:
        second = self.db.copy()  # a connection belongs to its thread
        try:
            while True:
                ready, _, _ = select.select([self.stopped, self.signals], [], [], LOOK_SECONDS)
                if self.stopped in ready:
                    return
                if self.signals in ready:
                    self._hear(os.read(self.signals, 64))
                with suppress(Error):  # as where the server takes no more connections
                    self._look(second)
        finally:
            second.close()

    def _hear(self, numbers: bytes) -> None:
        if {signal.SIGINT, signal.SIGTERM}.intersection(numbers):
            self._cancel()

    def _cancel(self) -> None:
        if self.db.connection is not None:
            self.db.connection.cancel()

    def _look(self, second: BaseDatabaseWrapper) -> None:
        began, now = self.began, time.monotonic()
        if began is None or now - began < SLOW_SECONDS:
            self.waits_since = None
            return
        found = waiting_for(second, self.pid)
        if not found.holders:
            self.waits_since = None
            return
        self.waiting, self.waits_since = found, self.waits_since or now
        if now - began > TELL_SECONDS and self.told != began:
            self.told = began
            self.tell(f"Waiting for a lock: {found}")
        if now - self.waits_since > self.limit and self.began == began:
            self.gave_up = True
            self._cancel()


@contextmanager
def watched(
    db: BaseDatabaseWrapper, limit: float, tell: Callable[[str], object]
) -> Iterator[Watch]:
    """Have a watch next to what is done on a connection."""
    watch = Watch(db, limit, tell)
    main = threading.current_thread() is threading.main_thread()
    # Python's own handler waits until the driver's C code returns; this is written at once.
    before = signal.set_wakeup_fd(watch.wakeup, warn_on_full_buffer=False) if main else -1
    watch.start()
    try:
        yield watch
    finally:
        if main:
            signal.set_wakeup_fd(before)
        os.write(watch.stopping, b".")
        watch.join()
        for end in (watch.signals, watch.wakeup, watch.stopped, watch.stopping):
            os.close(end)


def waiting_for(db: BaseDatabaseWrapper, pid: int) -> Waiting:
    """What a server process waits for."""
    wanted = ask(db, WANTED, pid)  # first: where its wait ends meanwhile, no holders are found
    holders = [holder(*row) for row in ask(db, HOLDERS, pid)]
    holders += [prepared(*row) for row in ask(db, PREPARED, pid)]
    return Waiting(wanted[0][0] if wanted else "", tuple(holders))


def holder(
    pid: int, user: str, program: str, host: str, kind: str, state: str, *since_and_query: Any
) -> str:
    """Who it is, since when, what it runs and how it is ended."""
    since, seconds, query = since_and_query
    if kind != "client backend":
        who = [kind]
    else:
        who = [
            f"user {user}",
            *([program] if program else []),
            f"from {host or 'the same machine'}",
        ]
    doing = "last ran" if (state or "").startswith("idle") else "runs"
    when = f", in a transaction since {since} UTC ({seconds} s)" if since else ""
    ran = f", {doing}: {query}" if query else ""
    return (
        f"server process {pid} ({', '.join(who)}; {state or 'active'}{when}{ran}), which "
        f"select pg_terminate_backend({pid}) ends"
    )


def prepared(gid: str, owner: str, since: str) -> str:
    return (
        f"a prepared transaction of user {owner}, since {since} UTC, which "
        f"rollback prepared '{gid}' ends"
    )


def ask(db: BaseDatabaseWrapper, question: str, *values: Any) -> list[Any]:
    with db.cursor() as cursor:
        cursor.execute(question, values or None)
        return list(cursor.fetchall())
