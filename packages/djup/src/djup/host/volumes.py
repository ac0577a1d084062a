"""Volumes, on any runtime: what holds the data, how much of it, and who uses it."""

from dataclasses import dataclass

from djup.terminal import console


@dataclass(frozen=True)
class Volume:
    """A volume: its size in words ('' where unknown), when it was made (ISO 8601), its users."""

    name: str
    size: str
    created: str
    mounted_by: list[str]


def as_text(volumes: list[Volume], elsewhere: str = "") -> str:
    """For the person at the terminal; `elsewhere` is the address of a database that needs none."""
    if not volumes and elsewhere:
        return f"no volumes: the database is remote, at {elsewhere}"
    if not volumes:
        return "no volumes; inv up creates them"
    rows = [
        (v.name, v.size, console.age(v.created), ", ".join(v.mounted_by) or "-") for v in volumes
    ]
    return console.table(("VOLUME", "SIZE", "AGE", "MOUNTED BY"), rows)
