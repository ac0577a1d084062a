"""Flags that Invoke would answer a wrong value of with a traceback."""

from ops import problems


def number(flag: str, value: str, example: str) -> str:
    """`value`, if it is one or more digits."""
    if not (value.isascii() and value.isdecimal()):
        raise problems.not_a_number(flag, value, example)
    return value
