"""A bar for long work, for a person at a terminal; nothing where stderr is none."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from djup.problems import Problem
from djup.terminal import console

SECONDS = 0.2
PATIENCE = 1.0  # work that ends sooner needs no bar
WIDTH = 30


def is_shown() -> bool:
    """Whether somebody watches."""
    return sys.stderr.isatty()


@contextmanager
def bar(label: str, done: Callable[[], int], total: int) -> Iterator[None]:
    """Show how many bytes of `total` (0 where that is not known) are done, while the block runs.

    `done` is asked from a thread of its own.
    """
    if not is_shown():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_draw, args=(label, done, total, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _draw(label: str, done: Callable[[], int], total: int, ended: threading.Event) -> None:
    started = time.monotonic()
    ended.wait(PATIENCE)
    while not ended.is_set():
        seconds = time.monotonic() - started
        try:
            drawn = line(label, done(), total, seconds)
        except Problem:  # the work says itself what is wrong
            return
        print(f"\r\033[K{drawn}", end="", file=sys.stderr, flush=True)
        ended.wait(SECONDS)


def line(label: str, done: int, total: int, seconds: float) -> str:
    """`restoring  [#####.....]  52%  104.0MB  3 s`"""
    if not total:
        return f"{label}  {console.size(done)}  {seconds:.0f} s"
    share = min(done / total, 1.0)
    marks = round(share * WIDTH)
    drawn = "#" * marks + "." * (WIDTH - marks)
    return f"{label}  [{drawn}] {share:4.0%}  {console.size(done)}  {seconds:.0f} s"
