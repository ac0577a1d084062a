"""Folders that docker reads from while a task runs. They lie in the checkout: Docker from a snap
sees no /tmp."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from djup import STATE

PREFIX = "temporary-"


@contextmanager
def folder() -> Iterator[str]:
    """A new one, which is removed at the end; those of killed tasks are removed before."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    for left in STATE.glob(f"{PREFIX}*"):
        if not _runs(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=STATE) as made:
        yield made


def _runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
