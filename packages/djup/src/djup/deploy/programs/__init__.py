"""Programs of services that are in the image of PostgreSQL: shell, as configs of the Swarm."""

from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
# What the database keeps for those that follow it and are away, so that its own disk has an end.
KEPT = {"MOST_KEPT": "8GB"}


def contents(named: Mapping[str, str]) -> dict[str, str]:
    """The texts of programs, by the names of their configs, with what all of them include."""
    files = {**named, "follow_program": "follow.sh"}
    return {name: (FOLDER / file).read_text() for name, file in files.items()}
