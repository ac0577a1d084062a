"""Which entries are due, and what came of each run: kept in the database, row by row.

A run is claimed by changing its row, so each is one process's, even if two of them believe that
they have the lock. A function may run twice all the same: where a process is killed in the midst of
it, the next one runs it once more, and says so.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from queue import SimpleQueue
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import connections, transaction
from djup_web import request_id
from djup_web.masking import masked

from .entries import Entry
from .models import Entry as Row
from .models import Outcome

logger = logging.getLogger("djup_web.schedule")

# A run that is this much behind its time was missed: nobody was there to run it.
MISSED = timedelta(seconds=5)
# What a clock may be set back by without a word; an entry waits as long.
SET_BACK = timedelta(minutes=1)
# How long the process of a run may take to notice that it has lost the lock, and to end.
ENDS_WITHIN = timedelta(seconds=20)


def utc_now() -> datetime:
    """The time of this machine's clock."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Ended:
    """How a run ended that was claimed at `started`."""

    name: str
    started: datetime
    ended: datetime
    outcome: str
    error: str = ""


class Scheduler:
    """Runs entries, each in a thread of its own, while its process has the lock."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        identity: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.entries, self.identity, self.now = entries, identity, now
        self.since = now()
        self.threads: dict[str, threading.Thread] = {}
        self.late: set[str] = set()  # those that have missed a time because they still run
        self.ended: SimpleQueue[Ended] = SimpleQueue()
        self.unsaved: list[Ended] = []
        self.stirred = threading.Event()  # when a run has ended

    @property
    def running(self) -> list[str]:
        """The entries at work, sorted."""
        return sorted(self.threads)

    def take_over(self) -> None:
        """Have a row for each entry, and none for what is no longer in the code."""
        self.since = self.now()
        rows = {row.name: row for row in Row.objects.all()}
        for name, entry in self.entries.items():
            if name not in rows:
                Row.objects.create(name=name, **self._times(entry))
            elif rows[name].times != entry.times.text:
                Row.objects.filter(name=name).update(**self._times(entry))
        for name in sorted(rows.keys() - self.entries.keys()):
            logger.info("%s is no longer in the code: it is forgotten", name)
            rows[name].delete()

    def tick(self) -> None:
        """Save what has ended, start what is due."""
        self.save()
        for row in Row.objects.filter(name__in=self.entries):
            self._consider(row, self.entries[row.name], self.now())

    def save(self) -> None:
        """Write down how runs ended; where that fails, the next call does."""
        while not self.ended.empty():
            self.unsaved.append(self.ended.get())
        while self.unsaved:
            one = self.unsaved[0]
            self._claimed(one.name, one.started).update(
                ended=one.ended, outcome=one.outcome, error=one.error
            )
            del self.unsaved[0]

    def drain(self, seconds: float) -> None:
        """Wait for the runs to end; what still runs then is left for another process to repeat."""
        until = time.monotonic() + seconds
        for thread in list(self.threads.values()):
            thread.join(max(0.0, until - time.monotonic()))
        left = self.running
        self.save()
        for name in left:
            logger.warning("%s is broken off by the end of this process", name)
        Row.objects.filter(name__in=left, outcome=Outcome.RUNNING, holder=self.identity).update(
            holder=""
        )

    def _times(self, entry: Entry) -> dict[str, Any]:
        return {"times": entry.times.text, "next_run": entry.times.after(self.now())}

    def _consider(self, row: Row, entry: Entry, now: datetime) -> None:
        """Do what one row asks for at this moment."""
        if row.outcome == Outcome.RUNNING and row.holder != self.identity:
            if not row.holder or now - self.since >= ENDS_WITHIN:
                self._interrupted(row, entry, now)
        elif row.due and now < row.due - SET_BACK:
            logger.warning("The clock was set back: %s is due at %s", row.name, row.due)
            Row.objects.filter(pk=row.pk).update(due=None, next_run=entry.times.after(now))
        elif row.next_run and row.next_run <= now:
            self._due(row, entry, now)

    def _due(self, row: Row, entry: Entry, now: datetime) -> None:
        assert row.next_run
        if row.name in self.running:
            self._left_out(row, entry, now)
        elif self._claim(row, entry, now, again=False):
            if now - row.next_run >= MISSED:
                behind = str(now - row.next_run).partition(".")[0]
                logger.warning(
                    "%s was due at %s (%s ago) and nobody ran it: it runs now, once",
                    *(row.name, row.next_run.isoformat(timespec="seconds"), behind),
                )
            self._start(entry, now)

    def _left_out(self, row: Row, entry: Entry, now: datetime) -> None:
        """It still runs when it is due again: said once for each run."""
        Row.objects.filter(pk=row.pk).update(next_run=entry.times.after(now))
        if row.name not in self.late:
            self.late.add(row.name)
            logger.warning("%s still runs when it is due again: it is left out meanwhile", row.name)

    def _interrupted(self, row: Row, entry: Entry, now: datetime) -> None:
        """The process of its last run is gone: run it once more, unless that was a repetition."""
        if row.again:
            logger.error("%s was interrupted twice: it is not run before its next time", row.name)
            changed = {"outcome": Outcome.INTERRUPTED, "ended": now}
            self._claimed(row.name, row.started, row.holder).update(**changed)
        elif self._claim(row, entry, now, again=True):
            logger.warning("%s was interrupted: it runs once more", row.name)
            self._start(entry, now)

    def _claim(self, row: Row, entry: Entry, now: datetime, *, again: bool) -> bool:
        """Whether this run is ours: nobody has changed the row meanwhile."""
        seen = {"next_run": row.next_run, "outcome": row.outcome, "holder": row.holder}
        changed = Row.objects.filter(pk=row.pk, started=row.started, **seen).update(
            **self._times(entry),
            due=row.due if again else row.next_run,
            started=now,
            ended=None,
            outcome=Outcome.RUNNING,
            error="",
            holder=self.identity,
            again=again,
        )
        return bool(changed)

    def _claimed(self, name: str, started: datetime | None, holder: str | None = None) -> Any:
        """The row of a run, as long as it is that run's."""
        whose = self.identity if holder is None else holder
        return Row.objects.filter(name=name, started=started, outcome=Outcome.RUNNING, holder=whose)

    def _start(self, entry: Entry, started: datetime) -> None:
        self.late.discard(entry.name)
        thread = threading.Thread(
            target=self._run, args=(entry, started), name=entry.name, daemon=True
        )
        self.threads[entry.name] = thread
        thread.start()

    def _run(self, entry: Entry, started: datetime) -> None:
        """Run an entry, in its thread; whatever it raises is logged, and stops nothing else."""
        request_id.begin()
        outcome, error = str(Outcome.FAILED), ""
        try:
            outcome = self._do(entry, started)
        except BaseException as raised:  # SystemExit, too: a command ends its process with it
            error = masked(f"{type(raised).__name__}: {raised}")
            logger.exception("%s failed", entry.name, extra={"entry": entry.name})
        finally:
            connections.close_all()
        self.ended.put(Ended(entry.name, started, self.now(), outcome, error))
        del self.threads[entry.name]
        self.stirred.set()

    def _do(self, entry: Entry, started: datetime) -> str:
        """Enqueue or call what an entry names, and log how long that took."""
        began = time.monotonic()
        if entry.is_task:
            outcome = self._enqueue(entry, started)
        else:
            call(entry.target)
            outcome = str(Outcome.DONE)
        facts = {"entry": entry.name, "duration_ms": round((time.monotonic() - began) * 1000)}
        logger.info("%s: %s", entry.name, outcome, extra=facts)
        return outcome

    def _enqueue(self, entry: Entry, started: datetime) -> str:
        """Enqueue a task, and say so in its row, both or neither: a queue in this database gets it
        once, whatever breaks."""
        with transaction.atomic():
            if self._claimed(entry.name, started).update(
                outcome=Outcome.ENQUEUED, ended=self.now()
            ):
                entry.target.enqueue()
        return str(Outcome.ENQUEUED)


def call(function: Callable[[], object]) -> None:
    """Call a function, or await one that is written with `async def`."""
    if iscoroutinefunction(function):
        async_to_sync(function)()
    else:
        function()
