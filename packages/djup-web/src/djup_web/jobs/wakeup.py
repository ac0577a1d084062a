"""Signals that end a wait at once, and none is lost between a look and the wait."""

import os
import select
import signal
from collections.abc import Callable
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class Wakeup:
    """Has `handler` called for the signals that stop, and for SIGCHLD where `children` is true."""

    def __init__(self, handler: Handler, children: bool = False) -> None:
        self.handler, self.children = handler, children
        self.read, self.written = os.pipe()

    def __enter__(self) -> "Wakeup":
        for end in (self.read, self.written):
            os.set_blocking(end, False)
        # The byte is written by C, before any of Python's code runs.
        signal.set_wakeup_fd(self.written, warn_on_full_buffer=False)
        for number in STOP:
            signal.signal(number, self.handler)
        signal.signal(signal.SIGCHLD, ignore if self.children else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for end in (self.read, self.written):
            os.close(end)

    def wait(self, seconds: float, *others: int) -> list[int]:
        """Sleep until a signal comes, or one of the `others` can be read: those that can."""
        ready, _, _ = select.select([self.read, *others], [], [], seconds)
        if self.read in ready:
            os.read(self.read, 512)
        return [one for one in ready if one != self.read]


def ignore(number: int, frame: FrameType | None) -> None:
    """Stand in for a handler: what is ignored outright wakes nobody."""
