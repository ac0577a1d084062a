"""The task that runs: how it was called, and what it has come to so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class RunningTask:
    """What every part of a task may ask of it.

    `name` as it was typed; `dry` and `echo` are Invoke's flags: show commands and run none that
    change something, or show all. `has_trial` says that it takes `--local`, `deploys` that it is
    about what is deployed; `target` is what was typed to say where that is (such as `--local`), and
    `engine` where docker is to go then: an address, or the name of a context; '' for where it goes
    by itself. Of a stage, `prefix` is what those of `keys` begin with in `.env`.

    `interrupted` tells a task of several commands that one of them was meant to be the last,
    `unbroken` that none may be broken off. `held` are descriptors that each command keeps open, so
    that a lock on one lasts as long as what a killed task has begun.
    """

    name: str = ""
    dry: bool = False
    echo: bool = False
    has_trial: bool = False
    target: str = ""
    deploys: bool = False
    engine: str = ""
    prefix: str = ""
    keys: frozenset[str] = frozenset()
    interrupted: bool = False
    unbroken: bool = False
    held: tuple[int, ...] = ()


this_task = RunningTask()


@contextmanager
def task(name: str, *, dry: bool, echo: bool, has_trial: bool = False) -> Iterator[None]:
    """A task of this name runs; the next one of the same command line knows nothing of it."""
    before = dict(vars(this_task))
    vars(this_task).update(vars(RunningTask(name, dry, echo, has_trial)))
    try:
        yield
    finally:
        vars(this_task).update(before)
