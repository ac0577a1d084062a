"""The process that runs the schedule, or waits until it may."""

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.db import Error, connection
from djup_web import reloading, supervise
from djup_web.database import reason

from .entries import Entry
from .lock import lock
from .scheduler import Scheduler

logger = logging.getLogger("djup_web.schedule")

# What a run may take that is at work when this process is to end: less than the engine waits for.
DRAIN_SECONDS = 25.0
DEVELOPMENT_SECONDS = 5.0  # who has saved a file waits for it
# How long a run may go on that nobody knows to be ours alone.
WITHOUT_LOCK_SECONDS = 10.0


class Service:
    """Has the lock or waits for it; with it, runs the scheduler each second."""

    def __init__(self, entries: Mapping[str, Entry], environ: Mapping[str, str]) -> None:
        self.health = environ.get("HEALTH_FILE", "")
        self.lock = lock(environ)
        identity = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
        self.scheduler = Scheduler(entries, identity)
        self.stop = threading.Event()
        self.lost_at = 0.0
        self.said = ""

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until the code changes; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        changed = False
        while not self.stop.is_set() and not changed:
            self.turn()
            self.pause()
            changed = reloading.code_changed()
        self.end(DEVELOPMENT_SECONDS if settings.DEBUG else DRAIN_SECONDS)
        return supervise.CHANGED if changed else 0

    def turn(self) -> None:
        """Do what there is to do now; a database that is away stops nothing."""
        if self.health:
            Path(self.health).touch()
        try:
            if self.holds():
                self.scheduler.tick()
                self.said = ""
        except Error as error:
            connection.close()
            self.say_once(f"Cannot run the schedule: {reason(error)}")

    def holds(self) -> bool:
        """Whether this process has the lock, after asking the server."""
        if not self.lock.held:
            return self.try_to_take()
        try:
            kept = self.lock.check()
        except Error:
            self.lose()
            raise
        if not kept:
            self.lose()
        return kept

    def try_to_take(self) -> bool:
        """Take the lock if it is free, and the schedule over with it."""
        try:
            taken = self.lock.take()
        except Error:
            if time.monotonic() - self.lost_at > WITHOUT_LOCK_SECONDS:
                self.give_way()
            raise
        if not taken:
            self.give_way()
            self.say_once("Another process runs the schedule; this one stands by")
            return False
        return self.take_over()

    def take_over(self) -> bool:
        """Begin to run the schedule."""
        try:
            self.scheduler.take_over()
        except Error:
            self.lock.release()
            raise
        self.said = ""
        logger.info("This process runs the schedule: %s", ", ".join(sorted(self.scheduler.entries)))
        return True

    def lose(self) -> None:
        """Say that the session with the lock has ended; another may have it by now."""
        self.lock.release()
        self.lost_at = time.monotonic()
        logger.error("Lost the schedule's lock: the connection to the database server has ended")

    def give_way(self) -> None:
        """Break off what runs, now that it may run in another process: no thread can be ended, so
        this process begins again. What has ended is written down first, or it would be repeated."""
        with suppress(Error):
            self.scheduler.save()
        if running := self.scheduler.running:
            logger.error("Broke off %s: another process may run it now", ", ".join(running))
            begin_again()

    def pause(self) -> None:
        """Wait for the next full second, a run that ends, or the end of this process."""
        until = time.monotonic() + 1 - time.time() % 1
        while (left := until - time.monotonic()) > 0 and not self.stop.is_set():
            if self.scheduler.stirred.wait(min(left, 0.2)):
                self.scheduler.stirred.clear()
                return

    def end(self, seconds: float) -> None:
        """Let the runs end, then another process take over."""
        if running := self.scheduler.running:
            logger.info("Waiting for %s to end", ", ".join(running))
        try:
            self.scheduler.drain(seconds)
        except Error as error:
            logger.error("Cannot write down how runs ended: %s", reason(error))
        self.lock.release()

    def say_once(self, sentence: str) -> None:
        """Say a state when it begins, not each second."""
        if sentence != self.said:
            self.said = sentence
            logger.info("%s", sentence)


def begin_again() -> NoReturn:
    """Start this process again, which ends its threads at once."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ["DB_WAIT_SECONDS"] = "86400"  # the database may be away
    os.execv(sys.executable, sys.orig_argv)


def log_in_development() -> None:
    """With DEBUG there is no handler for what is not Django's: print the lines."""
    if settings.DEBUG and not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
