"""Tasks that the tests of jobs enqueue: in this process, and in workers of their own."""

import os
import time
from pathlib import Path
from typing import Any

from djup_web.jobs import retry
from djup_web.jobs.api import TaskContext, task


@task
def add(left: int, right: int) -> int:
    return left + right


@task
@retry(attempts=2, pause=0)
def fail() -> None:
    raise ValueError("postgres://app:secret@db/app\0")


@task
@retry(attempts=1)
def once() -> None:
    pass


@task
def unfit() -> Any:
    return {1, 2}


@task
def unstorable() -> str:
    return "\0"


@task
def leave() -> None:
    raise SystemExit(3)


@task(takes_context=True)
def note(context: "TaskContext", path: str, seconds: float) -> None:
    """Write a line at the begin and one at the end: whoever kills the worker is told whom."""
    written = Path(path)
    line = f"{context.attempt} {os.getpid()}\n"
    with written.open("a") as file:
        file.write(f"begin {line}")
    end = time.monotonic() + seconds
    while time.monotonic() < end and context.attempt == 1:
        time.sleep(0.02)
    with written.open("a") as file:
        file.write(f"end {line}")
