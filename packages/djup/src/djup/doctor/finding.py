"""What a check of `inv doctor` found, and the fix that it may know."""

from collections.abc import Callable
from dataclasses import dataclass

from djup.problems import Problem

CLOCK_SECONDS = 60  # that a clock may differ from ours


@dataclass(frozen=True)
class Fix:
    """A fix that loses nothing and needs no decision: what it does, and how."""

    does: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Finding:
    """What one check found: the `fact` in a few words, and the problem if it is one.

    `known` is False where there was nothing to look at, as of a service that is not started.
    `edited` says that what runs is older than its files, `restarts` that the problem's own fix
    starts it again, and so brings it in step as well.
    """

    subject: str
    fact: str
    problem: Problem | None = None
    fix: Fix | None = None
    known: bool = True
    edited: bool = False
    restarts: bool = False
