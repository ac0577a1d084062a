"""Flags that Invoke would answer a wrong value of with a traceback."""

from ops.problems import problem


def number(flag: str, value: str, example: str) -> str:
    """`value`, if it is one or more digits."""
    if not (value.isascii() and value.isdecimal()):
        raise problem("TASK06", flag=flag, value=repr(value), example=example)
    return value
