"""What the engine knows of this project, by Compose's labels: never by matching names."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import ROOT, problems, process
from ops.env import Settings
from ops.problems import Problem
from ops.volumes import Volume

ENGINE_SECONDS = 10
PROJECT = "com.docker.compose.project"
FIELDS = {
    "name": "{{.Names}}",
    "service": '{{.Label "com.docker.compose.service"}}',
    "image": "{{.Image}}",
    "state": "{{.State}}",
    "config": '{{.Label "com.docker.compose.config-hash"}}',
    "inputs": '{{.Label "build.inputs"}}',
    "folder": '{{.Label "com.docker.compose.project.working_dir"}}',
    "one_off": '{{.Label "com.docker.compose.oneoff"}}',
    "status": "{{.Status}}",
}


@dataclass(frozen=True)
class Container:
    """A container of this project: its state as `docker ps` words it, and its labels.

    `image` is the tag it was made from, or an id once that tag means another image.
    """

    name: str
    service: str
    image: str
    state: str
    config: str
    inputs: str
    folder: str
    one_off: str
    status: str

    @property
    def running(self) -> bool:
        return self.state == "running"


def ask(*arguments: str) -> str:
    """The output of `docker ...`, or the problem that keeps it from answering."""
    result = process.run(["docker", *arguments])
    if result.code:
        raise diagnose(" ".join(("docker", *arguments[:2])), result.err)
    return result.out


def diagnose(command: str, reason: str = "") -> Problem:
    """Why a docker command failed: no command, no engine, no Compose, or its own reason."""
    engine = process.run(["docker", "version", "--format", "{{.Server.Version}}"])
    if engine.code in (126, 127):
        return problems.docker_missing()
    if "permission denied" in engine.err:
        return problems.engine_forbidden()
    if engine.code:
        return problems.engine_down(_last_line(engine.err))
    if process.run(["docker", "compose", "version"]).code:
        return problems.compose_missing()
    return problems.docker_failed(command, _last_line(reason))


def engine_answers(seconds: float = ENGINE_SECONDS) -> bool:
    """Whether there is an engine with Compose; one that is silent for `seconds` is none."""
    return not any(
        process.run(["docker", *question], timeout=seconds).code
        for question in (("version",), ("compose", "version"))
    )


def containers(settings: Settings) -> list[Container]:
    """The containers of this project's services, running or not.

    A problem if they are another checkout's, whose `.env` was copied into this one.
    """
    text = ask("ps", "--all", *label_filter(settings), "--format", "\t".join(FIELDS.values()))
    found = [Container(*line.split("\t")) for line in text.splitlines()]
    for container in found:
        _refuse_other_checkout(settings, container)
    return [c for c in found if c.one_off != "True"]


def running(settings: Settings, service: str) -> Container | None:
    """The running container of `service`, or None."""
    return next((c for c in containers(settings) if c.running and c.service == service), None)


def volumes(settings: Settings) -> list[Volume]:
    """This project's volumes, with the size that the engine's own accounting gives."""
    names = names_of("volume", settings)
    if not names:
        return []
    usage = json.loads(ask("system", "df", "--verbose", "--format", "{{json .Volumes}}"))
    sizes = {entry["Name"]: entry["Size"] for entry in usage}
    return [_volume(entry, sizes) for entry in json.loads(ask("volume", "inspect", *names))]


def names_of(kind: str, settings: Settings) -> list[str]:
    """The names of this project's objects of one kind: container, volume, network or image."""
    if kind == "container":
        return ask("ps", "--all", *label_filter(settings), "--format", "{{.Names}}").split()
    if kind == "image":  # by id, once each: an image that a newer one replaced has no name
        return list(
            dict.fromkeys(ask("image", "ls", "--all", *label_filter(settings), "--quiet").split())
        )
    return ask(kind, "ls", *label_filter(settings), "--format", "{{.Name}}").split()


def image_label(image: str, label: str) -> str | None:
    """A label of a local image; None where there is no such image or label."""
    query = f'{{{{index .Config.Labels "{label}"}}}}'
    result = process.run(["docker", "image", "inspect", "--format", query, image])
    return result.out.strip() or None if not result.code else None


def last_lines(container: Container, count: int = 25) -> str:
    """The end of a container's log, stdout and stderr together as far as Docker keeps them so."""
    result = process.run(["docker", "logs", "--tail", str(count), container.name])
    return (result.out + result.err).rstrip()


def _refuse_other_checkout(settings: Settings, container: Container) -> None:
    folder = Path(container.folder).resolve().parent
    # A folder that is no longer there was moved, most likely to here.
    if folder != ROOT and (folder / "tasks.py").exists():
        raise problems.other_checkout(settings.project, str(folder))


def _volume(entry: dict[str, Any], sizes: dict[str, str]) -> Volume:
    name = entry["Name"]
    mounted = ask("ps", "--all", "--filter", f"volume={name}", "--format", "{{.Names}}").split()
    return Volume(name, sizes.get(name, ""), entry["CreatedAt"], mounted)


def label_filter(settings: Settings) -> tuple[str, str]:
    """Arguments that narrow a docker listing to this project."""
    return "--filter", f"label={PROJECT}={settings.project}"


def _last_line(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "no reason given")
