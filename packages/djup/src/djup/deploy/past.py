"""`inv deploy.history`: the releases that the Swarm keeps of a stack."""

from collections.abc import Sequence
from dataclasses import dataclass

from djup.deploy import history
from djup.deploy.swarm.release import Release
from djup.deploy.target import find_target
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.console import age

SERVES, NEXT = "serves", "inv deploy.rollback goes back to it"


@dataclass(frozen=True)
class Past:
    """A release: its number, its commit and image, when (ISO 8601) and by whom it was made, and
    whether it serves, or would after a rollback."""

    release: int
    commit: str
    created: str
    by: str
    image: str
    serves: bool
    next_rollback: bool


def show(settings: Settings, context: str, *, local: bool, as_json: bool) -> None:
    """List them, the newest first."""
    target = find_target(settings, context, local=local)
    now = target.release()
    listed = [_past(release, now) for release in history.all_of(target.stack)]
    console.answer(console.as_json(listed) if as_json else as_text(listed))


def _past(one: Release, now: Release) -> Past:
    serves, is_next = one.number == now.number, one.number == now.before
    return Past(one.number, one.commit, one.created, one.by, one.image, serves, is_next)


def as_text(listed: Sequence[Past]) -> str:
    """For the person at the terminal."""
    rows = [(str(p.release), age(p.created), p.by, p.commit, p.image, _what(p)) for p in listed]
    return console.table(("RELEASE", "AGE", "BY", "COMMIT", "IMAGE", ""), rows)


def _what(past: Past) -> str:
    return SERVES if past.serves else console.as_typed(NEXT) if past.next_rollback else ""
