"""The question before anything is removed for good, on any runtime."""

import sys
from collections.abc import Sequence

from ops import console, problems, process
from ops.env import Settings


def spare(settings: Settings) -> None:
    """Say what is never removed from here."""
    if not settings.has_own_database:
        console.say(f"the database at {settings.address} stays: it is not this stack's to remove")


def confirm(project: str, doomed: Sequence[tuple[str, str, str]], yes: bool) -> None:
    """List what goes (kind, name, size) and have the project's name typed, or raise."""
    console.say(console.table(("WILL BE REMOVED", "NAME", "SIZE"), doomed))
    if yes or process.mode.dry:
        return
    if not sys.stdin.isatty():
        raise problems.nuke_needs_consent()
    console.say(f"All data listed here will be lost. To go on, type the name: {project}")
    typed = sys.stdin.readline().strip()
    if typed != project:
        raise problems.nuke_refused(typed)


def check(project: str, left: Sequence[str], elsewhere: Sequence[str]) -> None:
    """Say that all is gone, or what is `left`; and what the other runtime has `elsewhere`."""
    if left:
        raise problems.nuke_incomplete(left)
    console.say(f"{project} is gone; .env and the files of this folder stay")
    if elsewhere:
        console.say(f"The other runtime's data stay as well: {', '.join(elsewhere)}")
