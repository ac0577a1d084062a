"""The containers of this project: which there are, how they are, and what they have said."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from djup import ROOT, is_checkout
from djup.docker import engine, engine_api, resources
from djup.docker.resources import SERVICE
from djup.host import process
from djup.problems import problem
from djup.settings.settings import Settings

ONE_OFF = "com.docker.compose.oneoff"  # of containers that are no service's
CONFIG = "com.docker.compose.config-hash"
FOLDER = "com.docker.compose.project.working_dir"
INPUTS = "build.inputs"  # our own: what the image was built from
FIELDS = {
    "name": "{{.Names}}",
    "service": f'{{{{.Label "{SERVICE}"}}}}',
    "image": "{{.Image}}",
    "state": "{{.State}}",
    "config": f'{{{{.Label "{CONFIG}"}}}}',
    "inputs": f'{{{{.Label "{INPUTS}"}}}}',
    "folder": f'{{{{.Label "{FOLDER}"}}}}',
    "one_off": f'{{{{.Label "{ONE_OFF}"}}}}',
    "mounts": "{{.Mounts}}",
    "ports": "{{.Ports}}",
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
    mounts: str
    ports: str
    status: str

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def healthy(self) -> bool:
        """Whether it runs and its health check has passed or, where it has none, it has not ended
        in its first second."""
        words = ("(health: starting)", "(unhealthy)", "Less than a second")
        checked = "(healthy)" in self.status or not any(word in self.status for word in words)
        return self.running and checked

    @property
    def ended_well(self) -> bool:
        """Whether it has ended by itself, with exit code 0."""
        return self.state == "exited" and self.status.startswith("Exited (0)")

    def publishes(self, port: int) -> bool:
        """Whether it is reached at this port of the machine."""
        return f":{port}->" in self.ports

    @property
    def exit_code(self) -> int:
        """The exit code in a status such as `Exited (71) 2 seconds ago`; else 0."""
        exited = re.match(r"Exited \((\d+)\)", self.status)
        return int(exited[1]) if exited else 0


_listed: dict[str, list[Container]] | None = None  # by project, while they are listed once


def containers(settings: Settings) -> list[Container]:
    """The containers of this project's services, running or not."""
    return [c for c in all_containers(settings) if c.one_off != "True"]


def all_containers(settings: Settings) -> list[Container]:
    """List the containers of this project, those of `compose run` as well; raise if they are
    another checkout's."""
    if _listed is None:
        return _list(settings)
    if settings.project not in _listed:
        _listed[settings.project] = _list(settings)
    return _listed[settings.project]


@contextmanager
def listed_once() -> Iterator[None]:
    """Whoever asks for containers meanwhile sees what the first one saw: nothing changes any."""
    global _listed
    _listed = {}
    try:
        yield
    finally:
        _listed = None


def _list(settings: Settings) -> list[Container]:
    try:
        listed = _listed_by_engine(settings)
    except engine_api.Unanswered:
        listed = _listed_by_docker(settings)
    for container in listed:
        if folder := _made_elsewhere(container.folder):
            raise problem("RUN03", project=settings.project, folder=str(folder))
    return listed


def _listed_by_docker(settings: Settings) -> list[Container]:
    listing = ("ps", "--all", "--no-trunc", *resources.label_filter(settings))
    text = engine.ask(*listing, "--format", "\t".join(FIELDS.values()))
    return [Container(*line.split("\t")) for line in text.splitlines()]


def _listed_by_engine(settings: Settings) -> list[Container]:
    filters = {"label": [f"{resources.PROJECT_LABEL}={settings.project}"]}
    answer = engine_api.get("/containers/json", all="1", filters=json.dumps(filters))
    try:
        return [_container(record) for record in answer]
    except (KeyError, TypeError, AttributeError) as error:
        raise engine_api.Unanswered(error) from error


def _container(record: dict[str, Any]) -> Container:
    """A container of the engine's listing, in the words of `docker ps`."""
    labels = record["Labels"]
    return Container(
        name=",".join(name.removeprefix("/") for name in record["Names"]),
        service=labels.get(SERVICE, ""),
        image=record["Image"],
        state=record["State"],
        config=labels.get(CONFIG, ""),
        inputs=labels.get(INPUTS, ""),
        folder=labels.get(FOLDER, ""),
        one_off=labels.get(ONE_OFF, ""),
        mounts=",".join(mount.get("Name") or mount["Source"] for mount in record["Mounts"]),
        ports=", ".join(_port(port) for port in record["Ports"]),
        status=record["Status"],
    )


def _port(port: dict[str, Any]) -> str:
    """A port as `docker ps` words it, such as 127.0.0.1:8000->8000/tcp; a range is a word each."""
    inside = f"{port['PrivatePort']}/{port['Type']}"
    if "PublicPort" not in port:
        return inside
    address = f"[{port['IP']}]" if ":" in port["IP"] else port["IP"]
    return f"{address}:{port['PublicPort']}->{inside}"


def running(settings: Settings, service: str) -> Container | None:
    """The running container of `service`, or None."""
    return next((c for c in containers(settings) if c.running and c.service == service), None)


def mounted_at(container: Container, path: str) -> str:
    """The volume, or the folder, under `path` in a container; '' if nothing is mounted there."""
    mounts = resources.inspect(container.name).get(container.name, {}).get("Mounts", [])
    over = [m for m in mounts if f"{path}/".startswith(f"{m['Destination'].rstrip('/')}/")]
    closest: dict[str, Any] = max(over, key=lambda m: len(m["Destination"]), default={})
    return str(closest.get("Name") or closest.get("Source", ""))


def ended(container: Container) -> float:
    """When it ended, in seconds since 1970; 0 if it is gone."""
    state = resources.inspect(container.name).get(container.name, {}).get("State", {})
    finished = str(state.get("FinishedAt", "1970-01-01T00:00:00Z"))
    # To the fraction: an edit in the same second may stand before the end, or after it.
    return datetime.fromisoformat(finished).timestamp()


def remove_containers(names: Sequence[str]) -> None:
    """Remove containers, running or not; volumes stay."""
    process.attach(["docker", "rm", "--force", *names], progress=True)


def last_lines(container: Container, count: int = 25) -> str:
    """The end of a container's log."""
    argv = ["docker", "logs", "--tail", str(count), container.name]
    return process.run(argv, merged=True).out.rstrip()


def one_off(settings: Settings) -> list[str]:
    """Flags of a container that is this project's, and none of its services."""
    labels = (f"{resources.PROJECT_LABEL}={settings.project}", f"{ONE_OFF}=True")
    return [word for label in labels for word in ("--label", label)]


def is_other_checkout(folder: Path) -> bool:
    """Whether a checkout is there that is not this one; a folder that is gone was moved, most
    likely to here."""
    return folder.resolve() != ROOT and is_checkout(folder)


def _made_elsewhere(label: str) -> Path | None:
    """The checkout, or the folder of another Compose project, that has made a container; None if it
    is this one. A folder that is gone was moved, most likely to here."""
    folder = Path(label).resolve()
    if not label or ROOT in (folder, folder.parent) or not folder.exists():
        return None
    return folder.parent if is_other_checkout(folder.parent) else folder


def shell(arguments: Sequence[str]) -> list[str]:
    """The command of a shell with these arguments, in any image: ash, or else bash or sh."""
    best = 'exec $(command -v ash || command -v bash || command -v sh) "$@"'
    return ["sh", "-c", best, "sh", *arguments]
