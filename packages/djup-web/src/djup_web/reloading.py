"""How a long-running command restarts when the code changes: with DEBUG, under supervise.py."""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from . import supervise


def supervised(command: str, arguments: Sequence[str] = ()) -> None:
    """With DEBUG, replace this process by a supervisor that runs `command`; returns in its child.

    The child ends with `supervise.CHANGED` when the code changes, and calls `ready` when it is."""
    if os.environ.get(supervise.LIFELINE):
        end_with_supervisor()
    elif settings.DEBUG:
        words = ["-m", "djup_web.supervise", supervise.RUN, command, *arguments]
        os.execv(sys.executable, [sys.executable, *words])


def ready() -> None:
    """Tell the supervisor that the start went well: from now on it waits out an error."""
    if os.environ.get(supervise.LIFELINE):
        Path(os.environ[supervise.READY]).touch()


def code_changed() -> bool:
    """Whether a file of the project differs from what this process was started with."""
    started_with = os.environ.get(supervise.FINGERPRINT)
    if not started_with or not os.environ.get(supervise.LIFELINE):
        return False
    return supervise.fingerprint(supervise.snapshot()) != started_with


def end_with_supervisor() -> None:
    """Not outlive a supervisor that was killed: this process would go on without it."""
    if lifeline := os.environ.get(supervise.LIFELINE):
        threading.Thread(target=_wait_for_end, args=(int(lifeline),), daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)
