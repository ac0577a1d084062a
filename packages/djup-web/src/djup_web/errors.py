"""Mistakes in the environment end a command with a sentence, not with a traceback.

A settings module calls `install()` before anything else, so that `manage.py` stays as Django writes
it. Whatever else nobody takes is printed as Python does, with passwords masked.
"""

import os
import shlex
import signal
import sys
from types import TracebackType

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from djup_web import exits, masking
from djup_web.database import address, hopeless, reason, unreachable


def install() -> None:
    """Say in a sentence why this process ends; mask passwords in what it prints and logs."""
    masking.install()
    sys.excepthook = end
    if os.getpid() == 1 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        # The first process of a container ignores each signal that it does not take.
        signal.signal(signal.SIGTERM, lambda signum, _: sys.exit(128 + signum))


def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process by an exception that nobody took: Python calls this as `sys.excepthook`."""
    if isinstance(error, ImproperlyConfigured):
        exits.end(exits.SETTINGS, str(error))
    if isinstance(error, InterfaceError | OperationalError) and unreachable(error):
        exits.end(1, out_of_reach(error))
    masking.show(kind, error, trace)


def out_of_reach(error: BaseException) -> str:
    """What to do about a database that cannot be reached, in two sentences."""
    typed = shlex.join(sys.argv[1:])
    advice = (
        "In this repository `inv doctor` says how to fix it."
        if hopeless(error)
        else f"In this repository run `inv manage -- {typed}`, which runs next to the database; "
        "`inv status` shows whether it is up."
    )
    return f"Cannot reach the database at {address()}: {reason(error)}.\n{advice}"
