"""The worker: it starts processes that run jobs, and looks after them.

It speaks to no database itself. A process that dies is replaced, and what it was running is free
for another at once. One that holds a job longer than its lease, because the database is out of
reach or the job lets nothing else run, is killed: by then another worker may run that job.
"""

import gc
import logging
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from .. import reloading, supervise
from .slot import Options, Slot, leave, new_name
from .wakeup import STOP, Wakeup

logger = logging.getLogger("django.tasks.worker")

LOOK_SECONDS = 0.5
YOUNG_SECONDS = 5.0  # one that died younger is replaced after a pause
RESTART_PAUSE = 1.0
LAST_SECONDS = 2.0  # beyond the grace, for a process to give its job back
MARGIN = 1.0  # seconds before the lease's end
BYTES = struct.Struct("d")


class Shared:
    """A number that a process and its parent share: until when a job is that process's."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, BYTES.size)

    def set(self, value: float) -> None:
        BYTES.pack_into(self.memory, 0, value)

    def get(self) -> float:
        value: float = BYTES.unpack_from(self.memory)[0]
        return value


@dataclass
class Place:
    """Where one process runs, and the next one after its death."""

    first: bool
    lease: Shared = field(default_factory=Shared)
    ready: Shared = field(default_factory=Shared)
    pid: int = 0
    name: str = ""
    began: float = 0.0
    not_before: float = 0.0


class Pool:
    """So many processes, until SIGTERM; `watch` says to end with status 3 when the code changes."""

    def __init__(self, processes: int, options: Options, watch: bool = False) -> None:
        self.options = options
        self.places = [Place(first=number == 0) for number in range(processes)]
        self.stopping = False
        self.kill_at: float | None = None
        self.status = 0
        self.watch = watch
        lifeline = os.environ.get(supervise.LIFELINE)
        self.lifeline = [int(lifeline)] if watch and lifeline else []

    def run(self) -> int:
        """Run until told to stop; the status to end with."""
        gc.freeze()  # or the collector of each process would copy what they share
        with Wakeup(self.stop, children=True) as wakeup:
            while self.look():
                if wakeup.wait(LOOK_SECONDS, *self.lifeline):
                    self.kill()  # who would start it again was killed
        return self.status

    def look(self) -> bool:
        """Replace the dead, kill the late; whether any process is left."""
        for place in self.places:
            if place.pid:
                self.look_at(place)
            if not place.pid and not self.stopping and time.monotonic() >= place.not_before:
                self.start(place)
        if self.watch and not self.stopping and reloading.code_changed():
            self.status = supervise.CHANGED
            self.end()
        return any(place.pid for place in self.places) or not self.stopping

    def look_at(self, place: Place) -> None:
        pid, waited = os.waitpid(place.pid, os.WNOHANG)
        if pid:
            self.bury(place, os.waitstatus_to_exitcode(waited))
        elif (until := place.lease.get()) and time.monotonic() > until - MARGIN:
            logger.error("%s holds a job longer than its lease: killed", place.name)
            os.kill(place.pid, signal.SIGKILL)
        elif self.kill_at and time.monotonic() > self.kill_at:
            os.kill(place.pid, signal.SIGKILL)  # it lets nothing else run, not even its own end

    def bury(self, place: Place, code: int) -> None:
        place.pid = 0
        now = time.monotonic()
        if self.stopping:
            return
        if code > 0 and not any(one.ready.get() for one in self.places):
            self.status = code  # a first start that fails is to be seen, not tried for ever
            self.end()
            return
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        logger.error("Worker process %s ended %s; another takes its place", place.name, how)
        place.not_before = now + (RESTART_PAUSE if now - place.began < YOUNG_SECONDS else 0)

    def start(self, place: Place) -> None:
        before, place.name = place.name, new_name()
        place.lease.set(0)
        place.began = time.monotonic()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or both processes would write what waits
        # Until the new process has handlers of its own, it would take a signal for this one.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        place.pid = os.fork()
        if not place.pid:
            self.be(place, before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)

    def be(self, place: Place, before: str) -> None:
        """In the new process: run jobs and end, whatever happens."""
        status = 1
        try:
            tell: Callable[[str], object] = print_line if place.first else str
            slot = Slot(place.name, self.options, place.lease.set, tell, place.ready.set)
            status = slot.run(before)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        send_reports()
        leave(status)

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.end()

    def end(self) -> None:
        """Have each process finish its job, if it can within its time, and end."""
        self.stopping = True
        self.kill_at = self.kill_at or time.monotonic() + self.options.grace + LAST_SECONDS
        self.tell_all(signal.SIGTERM)

    def kill(self) -> None:
        self.tell_all(signal.SIGKILL)
        leave(1)

    def tell_all(self, number: signal.Signals) -> None:
        for place in self.places:
            if place.pid:
                os.kill(place.pid, number)


def send_reports() -> None:
    """Have Sentry's client, where there is one, send what it still holds: no `atexit` runs here."""
    if sentry := sys.modules.get("sentry_sdk"):
        sentry.flush(timeout=2)


def print_line(line: str) -> None:
    print(line, flush=True)
