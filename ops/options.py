"""What Invoke lets pass, or answers with a traceback."""

from collections.abc import Sequence

from ops import problems


def number(flag: str, value: str) -> str:
    """`value`, if it is one or more digits."""
    if not (value.isascii() and value.isdecimal()):
        raise problems.not_a_number(flag, value)
    return value


def command(task: str, words: Sequence[str], example: str) -> Sequence[str]:
    """`words`, if there are any: `inv manage migrate` would be two tasks, the first without one."""
    if not words:
        raise problems.needs_a_command(task, example)
    return words
