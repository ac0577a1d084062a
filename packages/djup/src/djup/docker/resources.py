"""What the engine holds of this project, by Compose's labels: never by matching names."""

import json
import re
from collections.abc import Sequence
from typing import Any

from djup.docker import engine, engine_api
from djup.host import process
from djup.host.volumes import Volume
from djup.settings.settings import Settings

USAGE_SECONDS = 120  # it counts every file of every volume
PROJECT_LABEL = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
VOLUME = "com.docker.compose.volume"
CHECKOUT = "checkout"  # our own label of a volume: the folder that it belongs to


def inspect(*names: str) -> dict[str, Any]:
    """What the engine knows of its containers, images and volumes of these names; others are left
    out."""
    try:
        answers = {name: _asked_for(name) for name in names}
    except engine_api.Unanswered:
        return _inspected_by_docker(names)
    return {name: answer for name, answer in answers.items() if answer is not None}


def _asked_for(name: str) -> Any:
    """What the engine knows of one object, looked for in the order of `docker inspect`."""
    quoted = engine_api.quoted(name)
    for path in (f"/containers/{quoted}/json", f"/images/{quoted}/json", f"/volumes/{quoted}"):
        if (answer := engine_api.get(path)) is not None:
            return answer
    return None


def _inspected_by_docker(names: Sequence[str]) -> dict[str, Any]:
    result = process.run(["docker", "inspect", "--format", "{{json .}}", *names])
    missing = {line.rpartition(": ")[2] for line in result.err.splitlines()}
    known = (name for name in names if name not in missing)
    return dict(zip(known, map(json.loads, result.out.splitlines()), strict=False))


def label(inspected: dict[str, Any] | None, name: str) -> str:
    """A label of an inspected image, container or volume; '' where there is none."""
    labels = (
        (inspected or {}).get("Labels") or (inspected or {}).get("Config", {}).get("Labels") or {}
    )
    return str(labels.get(name, ""))


def environment(inspected: dict[str, Any] | None) -> dict[str, str]:
    """The environment of an inspected image or container."""
    pairs = (inspected or {}).get("Config", {}).get("Env") or []
    return dict(pair.split("=", 1) for pair in pairs)


def names_of(kind: str, settings: Settings) -> list[str]:
    """The names of this project's objects of one kind: container, volume, network or image."""
    if kind == "container":
        return engine.ask("ps", "--all", *label_filter(settings), "--format", "{{.Names}}").split()
    if kind == "image":  # by id, once each: an image that a newer one replaced has no name
        listed = engine.ask("image", "ls", "--all", *label_filter(settings), "--quiet")
        return list(dict.fromkeys(listed.split()))
    return engine.ask(kind, "ls", *label_filter(settings), "--format", "{{.Name}}").split()


def volumes(settings: Settings) -> list[Volume]:
    """List this project's volumes, with the sizes that the engine counts."""
    names = names_of("volume", settings)
    if not names:
        return []
    question = ("system", "df", "--verbose", "--format", "{{json .Volumes}}")
    usage = json.loads(engine.ask(*question, seconds=USAGE_SECONDS))
    sizes = {entry["Name"]: entry["Size"] for entry in usage}
    return [_volume(entry, sizes) for entry in json.loads(engine.ask("volume", "inspect", *names))]


def _volume(entry: dict[str, Any], sizes: dict[str, str]) -> Volume:
    name = entry["Name"]
    mounted = engine.ask(
        "ps", "--all", "--filter", f"volume={name}", "--format", "{{.Names}}"
    ).split()
    return Volume(name, sizes.get(name, ""), entry["CreatedAt"], mounted)


def is_anonymous(volume: str) -> bool:
    """Whether the engine named it: nobody finds such a volume again."""
    return bool(re.fullmatch("[0-9a-f]{64}", volume))


def bind(source: str, target: str) -> str:
    """The value of `--mount` for a folder or file of this machine, to be read; docker reads it as a
    line of CSV. A source that is not there is an error, and no new folder."""
    quoted = f"source={source}".replace('"', '""')
    return f'type=bind,"{quoted}",target={target},readonly'


def label_filter(settings: Settings) -> tuple[str, str]:
    """Arguments that narrow a docker listing to this project."""
    return "--filter", f"label={PROJECT_LABEL}={settings.project}"
