"""Stages: further sites of the same code (STAGES), each by keys of `.env` with a prefix of its
own: those of `staging` begin with STAGING_, as production's do with PROD_."""

import re
from collections.abc import Collection, Mapping

from djup.problems import problem

KEY = "STAGES"
PRODUCTION, PREFIX = "production", "PROD_"
NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
TAKEN = (PRODUCTION, "prod", "local")
ALLOWED = (
    "names such as staging, separated by commas: of a-z and 0-9, starting with a letter, and with "
    "no other key that begins so"
)


def names(values: Mapping[str, str]) -> list[str]:
    """The stages that `.env` names."""
    return [word for word in re.split(r"[,\s]+", values.get(KEY, "")) if word]


def prefix(name: str) -> str:
    """What the keys of a stage begin with; '' stands for production."""
    return f"{name.upper()}_" if name else PREFIX


def prefixes(values: Mapping[str, str]) -> tuple[str, ...]:
    """What the keys of production and of every stage begin with."""
    return (PREFIX, *map(prefix, names(values)))


def check(values: Mapping[str, str], known: Collection[str]) -> None:
    """Raise at a name whose keys could not be told from those in `known`."""
    for name in names(values):
        begun = [key for key in known if key.startswith(prefix(name))]
        others = [key for key in begun if key.removeprefix(prefix(name)) not in known]
        is_taken = name in TAKEN or bool(others)
        if is_taken or not NAME.fullmatch(name):
            raise problem("ENV06", key=KEY, allowed=f"{ALLOWED}; {name} is not one")
