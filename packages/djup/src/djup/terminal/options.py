"""Flags that Invoke would answer a wrong value of with a traceback."""

from djup.problems import problem

PORTS = range(1, 65536)


def number(flag: str, value: str, example: str) -> str:
    """`value`, if it is one or more digits."""
    if not (value.isascii() and value.isdecimal()):
        raise problem("TASK06", flag=flag, value=repr(value), example=example)
    return value


def port(value: str) -> str:
    """`value` of --port, if it is the number of a port."""
    if not (value.isascii() and value.isdecimal() and int(value) in PORTS):
        raise problem("TASK06.port", flag="--port", value=repr(value), example="8080")
    return value
