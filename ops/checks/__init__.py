"""What `inv doctor` looks at: pure checks, a module for each subject. Printing is elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

from ops.problems import Problem


@dataclass(frozen=True)
class Finding:
    """What one check found: the `fact` in a few words, and the problem if it is one.

    `fix` is there where a mend loses nothing and needs nobody's decision.
    """

    subject: str
    fact: str
    problem: Problem | None = None
    fix: Callable[[], None] | None = None
