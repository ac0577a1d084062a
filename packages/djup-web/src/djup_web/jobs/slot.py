"""A process of the worker: it runs one job after another until it is told to stop."""

import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import (
    DatabaseError,
    DataError,
    InterfaceError,
    connection,
    connections,
    reset_queries,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import request_id
from ..database import address, reason, unreachable
from ..wait import wait_or_end
from . import queue
from .api import TaskContext, TaskResult, normalize_json, task_finished, task_started
from .backend import NoTask, result_of, task_of
from .models import Job, State
from .policy import Policy, policy_of
from .wakeup import Wakeup

# Below Django's own: shown with DEBUG, mailed to ADMINS without, as its errors are.
logger = logging.getLogger("django.tasks.worker")

POLL_SECONDS = 0.5
TEND_SECONDS = 1.0
TICK_SECONDS = 1.0
HOW = {
    State.DONE: "done",
    State.LATER: "failed and is tried again",
    State.DEAD: "failed and is dead: it has no attempts left",
}
OUTAGE_PAUSES = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Options:
    queues: Sequence[str] = ()
    lease: float = 20  # seconds without a word after which another worker takes a job over
    grace: float = 27  # seconds that a running job has left, once the worker is told to stop
    db_wait: int = 60
    health_file: Path | None = None
    ready_file: Path | None = None


def new_name() -> str:
    return f"{socket.gethostname()[:40]}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


class Keeper(threading.Thread):
    """Renews the lease of the job that runs, and gives it back when its time is over.

    `tell` is told until when a job is this process's. Who started it ends the process then: two
    workers may not run one job, even where this one does not come to a halt by itself.
    """

    def __init__(self, options: Options, tell: Callable[[float], None]) -> None:
        super().__init__(name="lease", daemon=True)
        self.options, self.tell = options, tell
        self.lock = threading.Lock()
        self.job: Job | None = None
        self.until = 0.0
        self.stop_at: float | None = None
        self.parent = os.getppid()

    def begin(self, job: Job, claimed: float) -> None:
        with self.lock:
            self.job, self.until = job, claimed + self.options.lease
            self.tell(self.until)

    def settle(self) -> None:
        """Renew no more: the job has ended, its result is about to be written."""
        with self.lock:
            self.job = None

    def run(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            if os.getppid() != self.parent:
                os._exit(1)  # killed, and so is this process: nobody would stop it
            with self.lock:
                self.tick()

    def tick(self) -> None:
        touch(self.options.health_file)
        if not self.job:
            return
        try:
            if self.stop_at and time.monotonic() > self.stop_at:
                self.end(self.job)
            if time.monotonic() > self.until - self.options.lease * 3 / 4:
                self.renew(self.job)
            else:
                connections.close_all()  # this thread's: short jobs need none
        except (DatabaseError, InterfaceError) as error:
            connections.close_all()
            logger.warning("Job %s: cannot renew its lease: %s", self.job.pk, reason(error))

    def renew(self, job: Job) -> None:
        asked = time.monotonic()
        if not queue.renew(job, self.options.lease):
            logger.error("Job %s was taken over by another worker: ending", job.pk)
            leave(1)
        self.until = asked + self.options.lease
        self.tell(self.until)

    def end(self, job: Job) -> None:
        queue.give_back(job)
        logger.warning("Job %s is given back: the worker stops", job.pk)
        leave(0)


def leave(status: int) -> None:
    """End this process at once, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def touch(path: Path | None) -> None:
    if path:
        path.touch()


class Slot:
    """Claims jobs and runs them, one at a time."""

    def __init__(
        self,
        name: str,
        options: Options,
        tell_lease: Callable[[float], None] = lambda until: None,
        tell: Callable[[str], object] = str,
        tell_ready: Callable[[float], None] = lambda now: None,
    ) -> None:
        self.name, self.options = name, options
        self.tell, self.tell_ready = tell, tell_ready
        self.keeper = Keeper(options, tell_lease)
        self.stopping = False
        self.tended = 0.0

    def run(self, predecessor: str = "") -> int:
        """Run until SIGTERM; `predecessor` names a process that died, whose job is free."""
        with Wakeup(self.stop) as wakeup:
            self.wait_for_database()
            self.keeper.start()
            if predecessor:
                self.through(lambda: queue.expire(predecessor))
            self.tell_ready(time.monotonic())
            self.tell("The worker runs jobs")
            touch(self.options.ready_file)
            while not self.stopping:
                touch(self.options.health_file)
                if not self.through(self.step):
                    wakeup.wait(POLL_SECONDS)
        return 0

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        self.keeper.stop_at = time.monotonic() + self.options.grace

    def wait_for_database(self) -> None:
        wait_or_end(connection, self.options.db_wait, self.tell)

    def step(self) -> bool:
        """Run a job, if there is one; whether another may wait."""
        claimed = time.monotonic()
        if job := queue.claim(self.name, self.options.queues, self.options.lease):
            self.run_job(job, claimed)
        if claimed - self.tended < TEND_SECONDS:
            return bool(job)
        self.tended = claimed
        waiting, lost = queue.tend()
        for one in lost:
            self.report(one)
        return bool(job) or waiting

    def report(self, lost: queue.Lost) -> None:
        """Say what became of a dead worker's job."""
        logger.error("%s", lost)
        if lost.dead:
            tell_listeners(Job.objects.using(queue.alias()).get(pk=lost.job))

    def run_job(self, job: Job, claimed: float) -> None:
        self.keeper.begin(job, claimed)
        try:
            with request_id.of(job.request_id):
                self.perform(job)
        finally:
            self.keeper.settle()
            self.keeper.tell(0)
            close_others()

    def perform(self, job: Job) -> None:
        """Call the task's function and note how it ended."""
        began = time.perf_counter()
        try:
            result = result_of(job, task_of(job))
        except NoTask as missing:
            self.no_task(job, missing)
            return
        task_started.send_robust(type(result.task.get_backend()), task_result=result)
        value, error = outcome(result)
        self.keeper.settle()
        ours = self.until_done(lambda: ended(job, result, value, error))
        tell_end(job, time.perf_counter() - began, error, ours)
        if job.finished_at:
            tell_listeners(job)

    def no_task(self, job: Job, error: NoTask) -> None:
        self.keeper.settle()
        if self.until_done(lambda: queue.put_aside(job)):
            logger.warning("Job %s is left to a worker of another version: %s", job.pk, error)
        else:
            tell_end(job, 0, error, self.until_done(lambda: queue.fail(job, error, Policy())))

    def until_done(self, write: Callable[[], bool]) -> bool:
        """Repeat a write while the database is away: the lease's end ends this process."""
        turn = 0
        while True:
            try:
                return write()
            except (DatabaseError, InterfaceError) as error:
                if not unreachable(error):
                    raise
                connections.close_all()
                time.sleep(OUTAGE_PAUSES[min(turn, len(OUTAGE_PAUSES) - 1)])
                turn += 1

    def through(self, act: Callable[[], Any]) -> Any:
        """Do this, and outlast a database that is away; whether to go on at once."""
        try:
            return act()
        except (DatabaseError, InterfaceError) as error:
            if not unreachable(error):
                raise
            logger.warning("The database at %s does not answer: %s", address(), reason(error))
        connections.close_all()
        self.wait_for_database()
        queue.give_back_unbegun(self.name)
        return True


def outcome(result: "TaskResult[Any]") -> tuple[Any, BaseException | None]:
    """What the task's function returns, or raises: SystemExit too, which is not ours."""
    task, context = result.task, [TaskContext(task_result=result)]
    try:
        value = task.call(*(context if task.takes_context else []), *result.args, **result.kwargs)
        return normalize_json(value), None
    except BaseException as error:
        return None, error


def ended(job: Job, result: "TaskResult[Any]", value: Any, error: BaseException | None) -> bool:
    """Note how it ended; whether the job was still ours to write to."""
    if error is None:
        try:
            return queue.succeed(job, value)
        except DataError as unfit:  # JSON that PostgreSQL does not take: a zero byte, NaN
            error = unfit
    return queue.fail(job, error, policy_of(result.task.func))


def tell_end(job: Job, seconds: float, error: BaseException | None, ours: bool) -> None:
    """A line for each attempt, an error with its traceback."""
    how = HOW[State(job.state)] if ours else "ended, when another worker had taken it over"
    request = f", request {job.request_id}" if job.request_id else ""
    facts = {"job": str(job.pk), "attempt": job.attempts, "duration_ms": round(seconds * 1000, 1)}
    level = logging.INFO if ours and job.state == State.DONE else logging.ERROR
    line = f"Job {job.pk} {job.task} {how} ({seconds:.2f} s, attempt {job.attempts}{request})"
    logger.log(level, "%s", line, extra=facts, exc_info=error)


def tell_listeners(job: Job) -> None:
    """Send the API's signal that a job has ended, well or not."""
    with suppress(NoTask):
        result = result_of(job, task_of(job))
        task_finished.send_robust(type(result.task.get_backend()), task_result=result)


def left_open(db: BaseDatabaseWrapper) -> bool:
    """Whether a task has turned autocommit off, and left it so."""
    return not db.autocommit and not db.in_atomic_block


def close_others() -> None:
    """Keep the connection that jobs are read by; others would be idle, or stale, by the next."""
    reset_queries()  # with DEBUG each is kept, until a web request ends
    ours = queue.alias()
    for db in connections.all(initialized_only=True):
        if db.alias != ours or db.errors_occurred or left_open(db):
            db.close()
