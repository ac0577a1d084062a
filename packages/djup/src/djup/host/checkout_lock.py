"""One `inv` at a time changes this checkout's stack; a second one waits, and says so."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from djup import STATE
from djup.terminal import console
from djup.terminal.task import this_task


@contextmanager
def one_at_a_time(task: str) -> Iterator[None]:
    """Hold the checkout's lock; the kernel lets go of it however this process and the commands that
    it has started end."""
    if this_task.dry:
        yield
        return
    STATE.mkdir(mode=0o700, exist_ok=True)
    STATE.chmod(0o700)  # who can open a lock file can hold it, and logs may quote what was typed
    with (STATE / "lock").open("a+") as file:
        _acquire(file.fileno(), (STATE / "lock").read_text())
        file.truncate(0)
        file.write(f"inv {task}, process {os.getpid()}")
        file.flush()
        this_task.held = (file.fileno(),)
        try:
            yield
        finally:
            this_task.held = ()


def _acquire(handle: int, holder: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        whom = f"{holder}, or a process that it started," if holder else "another task"
        console.say(f"waiting for {whom} in this checkout to finish ...")
        fcntl.flock(handle, fcntl.LOCK_EX)
