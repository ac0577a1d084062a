"""What was deployed: kept in the Swarm itself, as configs, so every machine can go back to it."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from djup.deploy.production import digest
from djup.deploy.swarm import objects, swarm_stack
from djup.deploy.swarm.release import Release
from djup.docker import engine

ROLE, BREAKING = "release", "breaking"
KEPT = 10


def all_of(stack: str) -> list[Release]:
    """List the releases that the Swarm keeps of a stack, the newest first."""
    return sorted(_kept(stack).values(), key=lambda release: release.number, reverse=True)


def _kept(stack: str) -> dict[str, Release]:
    """Give the releases of a stack by the names of their configs."""
    entries = objects.read("config", objects.names("config", stack, ROLE))
    decoded = ((entry["Spec"]["Name"], _decoded(entry)) for entry in entries)
    return {name: release for name, release in decoded if release}


def current(name: str, kept: Sequence[Release] | None = None) -> Release | None:
    """The release that a stack is at, of those that are kept; None if there is none."""
    web = swarm_stack.find(name, "web")
    if web is None:
        return None
    releases = {str(one.number): one for one in (all_of(name) if kept is None else kept)}
    # A deploy that was killed may have left a number that was never kept.
    for label in (swarm_stack.RELEASE, swarm_stack.BEFORE):
        if release := releases.get(web.labels.get(label, "")):
            return release
    return next(iter(releases.values()), None)


def is_unfinished(name: str) -> bool:
    """Whether a deploy was killed on its way: the web is of a release that was never kept, or was
    stopped for migrations."""
    web = swarm_stack.find(name, "web")
    if web is None:
        return False
    return not web.replicas or by_number(name, int(web.labels.get(swarm_stack.RELEASE, 0))) is None


def by_number(name: str, number: int) -> Release | None:
    """The release of that number, if the Swarm keeps it."""
    return next((release for release in all_of(name) if release.number == number), None)


def breaking(name: str) -> set[str]:
    """The migrations (`app.name`) that the code of this stack, without them, could not bear."""
    notes = objects.read("config", _of_breaking(name))
    return {word for note in notes for word in _data(note).split()}


def note_breaking(name: str, migrations: Iterable[str]) -> None:
    """Note such migrations, for every later way back; before they are applied, and for as long as
    the data may be there: not even `deploy.down` forgets them."""
    text = "\n".join(sorted(migrations))
    full = f"{name}_breaking_{digest(text)}"
    if text and full not in _of_breaking(name):
        objects.create("config", name, full, BREAKING, text, label=objects.STACK)


def _of_breaking(name: str) -> list[str]:
    return objects.names("config", name, BREAKING, label=objects.STACK)


def keep(release: Release) -> None:
    """Note a release in the Swarm; one of the same number is replaced, as after another scale."""
    text = json.dumps(asdict(release))  # in its order: of compose files the last one counts
    name = f"{release.stack}_release_{release.number}_{digest(text)}"
    kept = _kept(release.stack)
    if name not in kept:
        objects.create("config", release.stack, name, ROLE, text)
    for other, previous in kept.items():
        if previous.number == release.number and other != name:
            engine.ask("config", "rm", other)


def prune(current: Release) -> list[Release]:
    """Keep the newest, the current one among them, and what they refer to; those that are kept."""
    releases = _kept(current.stack)
    newest = sorted((release.number for release in releases.values()), reverse=True)[:KEPT]
    wanted = {*newest, current.number}
    old = [name for name, release in releases.items() if release.number not in wanted]
    for name in old:
        engine.ask("config", "rm", name)
    kept = [release for release in releases.values() if release.number in wanted]
    used = {name for release in kept for name in objects.named_in(release.values)}
    objects.prune(current.stack, used)
    return kept


def _decoded(entry: dict[str, Any]) -> Release | None:
    """A release as any version of this toolkit kept it: keys that are not known are passed over."""
    known = {field.name for field in fields(Release)}
    try:
        values = json.loads(_data(entry)).items()
        return Release(**{key: value for key, value in values if key in known})
    except (AttributeError, ValueError, TypeError, KeyError):
        return None


def _data(entry: dict[str, Any]) -> str:
    return base64.b64decode(entry["Spec"]["Data"]).decode()
