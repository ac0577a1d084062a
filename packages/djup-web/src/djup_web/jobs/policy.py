"""How often a job is tried before it is dead, and how long it rests in between."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

NAME = "djup_policy"
LONGEST_PAUSE = 3600


@dataclass(frozen=True)
class Policy:
    attempts: int = 5
    pause: float = 10  # seconds after the first fault, doubled by each further one

    def pause_after(self, faults: int) -> float:
        """Seconds to wait after so many faults."""
        return min(self.pause * 2.0 ** min(max(faults - 1, 0), 32), LONGEST_PAUSE)


def retry(*, attempts: int = Policy.attempts, pause: float = Policy.pause) -> Callable[[F], F]:
    """Say beneath `@task` how often a job is tried: `attempts=1` for what must never run twice.

    A fault is an error, or a worker that died or was cut off meanwhile. After an error the job
    rests for `pause` seconds, twice as long after each further one.
    """
    if attempts < 1 or pause < 0:
        raise ValueError("attempts must be at least 1, pause at least 0")

    def decorate(function: F) -> F:
        setattr(function, NAME, Policy(attempts, pause))
        return function

    return decorate


def policy_of(function: Callable[..., Any]) -> Policy:
    found = getattr(function, NAME, None)
    return found if isinstance(found, Policy) else Policy()
