"""What was deployed: kept in the Swarm itself, as configs, so every machine can go back to it."""

import base64
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops import ROOT, docker
from ops.deploy import objects, stack
from ops.deploy.production import Production, names_of

COMPOSE = ROOT / "compose"
ROLE = "release"
KEPT = 10
SCALE = ("WEB_REPLICAS",)  # what may change without another version


@dataclass(frozen=True)
class Release:
    """A version of the stack: its number and that of the one before it (0: none), when (ISO 8601)
    and by whom it was made, from which commit, its compose files by name, the values that they are
    filled in with, and the migrations so far (`app.name`) that code without them cannot bear."""

    number: int
    before: int
    created: str
    by: str
    commit: str
    files: Mapping[str, str]
    values: Mapping[str, str]
    breaking: Sequence[str] = ()

    @property
    def stack(self) -> str:
        return self.values["STACK"]

    @property
    def image(self) -> str:
        return self.values["WEB_IMAGE"]

    @property
    def replicas(self) -> int:
        return int(self.values["WEB_REPLICAS"])

    @property
    def has_own_database(self) -> bool:
        return "prod/db.yaml" in self.files

    @property
    def names(self) -> list[str]:
        """Of the site, as they are typed: `*.example.org` too."""
        return names_of(self.values["DOMAIN"])

    @property
    def url(self) -> str:
        return f"https://{self.names[0]}{self.values['HTTPS_SUFFIX']}/"

    def filled_in(self) -> dict[str, str]:
        """The variables of the compose files."""
        return {**self.values, "RELEASE": str(self.number)}

    def with_values(self, **values: str) -> "Release":
        """The same with other values."""
        return Release(**{**asdict(self), "values": {**self.values, **values}})

    def is_like(self, other: "Release") -> bool:
        """Whether both are one version, at whatever scale."""
        return self.files == other.files and _version(self.values) == _version(other.values)

    @contextmanager
    def written_out(self) -> Iterator[list[str]]:
        """The compose files as paths, for as long as this lasts; nothing in them is secret."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name.replace("/", "-")) for name in self.files]
            for path, text in zip(paths, self.files.values(), strict=True):
                path.write_text(text)
            yield [str(path) for path in paths]


def new(production: Production, image: str, commit: str, repository: str, number: int) -> Release:
    """The release that production as it is asked for would be."""
    return Release(
        number=number,
        before=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        by=f"{os.environ.get('USER', 'somebody')}@{socket.gethostname()}",
        commit=commit,
        files={name: (COMPOSE / name).read_text() for name in production.files},
        values={**production.values, "WEB_IMAGE": image, "REPOSITORY": repository},
    )


def all_of(stack: str) -> list[Release]:
    """Those that the Swarm has, the newest first."""
    found = objects.read("config", objects.names("config", stack, ROLE))
    releases = (_decoded(entry) for entry in found)
    return sorted((r for r in releases if r), key=lambda r: r.number, reverse=True)


def current(name: str) -> Release | None:
    """The release that a stack is at; None if there is none."""
    web = stack.find(name, "web")
    if web is None:
        return None
    found = all_of(name)
    at = (one for one in found if str(one.number) == web.labels.get(stack.RELEASE))
    # A deploy that was killed may have left a number that was never kept.
    return next(at, found[0] if found else None)


def by_number(name: str, number: int) -> Release | None:
    """One of those that the Swarm has."""
    return next((one for one in all_of(name) if one.number == number), None)


def breaking(name: str) -> set[str]:
    """The migrations that some code of this stack, without them, could not bear."""
    return {migration for one in all_of(name) for migration in one.breaking}


def last_number(name: str) -> int:
    """The highest that there was; 0 if there was none."""
    return max((one.number for one in all_of(name)), default=0)


def keep(release: Release) -> None:
    """Note it in the Swarm, for good; one of its number is replaced, as after another scale."""
    name = _name(release.stack, release.number)
    if name in objects.names("config", release.stack, ROLE):
        _remove(name)
    objects.create("config", release.stack, name, ROLE, json.dumps(asdict(release)))


def prune(current: Release) -> None:
    """Keep the newest, the current one among them, and what they refer to."""
    found = all_of(current.stack)
    kept = [one for one in found if one in found[:KEPT] or one.number == current.number]
    for old in (one for one in found if one not in kept):
        _remove(_name(old.stack, old.number))
    objects.prune(current.stack, {name for one in kept for name in objects.named_in(one.values)})


def _remove(name: str) -> None:
    docker.ask("config", "rm", name)


def _name(stack: str, number: int) -> str:
    return f"{stack}_release_{number}"


def _decoded(entry: dict[str, Any]) -> Release | None:
    """Kept by whatever version of this toolkit: what it does not know is passed over."""
    known = {field.name for field in fields(Release)}
    try:
        found = json.loads(base64.b64decode(entry["Spec"]["Data"])).items()
        return Release(**{key: value for key, value in found if key in known})
    except (AttributeError, ValueError, TypeError, KeyError):
        return None


def _version(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in SCALE}
