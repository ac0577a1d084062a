"""What the engine knows of this project, by Compose's labels: never by matching names."""

import grp
import json
import os
import pwd
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from djup import ROOT, is_checkout
from djup.docker import refusals
from djup.host import process
from djup.host.volumes import Volume
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal.task import this_task

SOCKET = "/var/run/docker.sock"
ENGINE_SECONDS = 10
DIAGNOSIS_SECONDS = 5
# Of managers that have no leader, or one that is about to be none.
NO_LEADER = ("does not have a leader", "code = DeadlineExceeded", "code = Unavailable")
# Not merely "permission denied": docker says so of its own settings too, when they are root's.
FORBIDDEN = "permission denied while trying to connect"
USAGE_SECONDS = 120  # it counts every file of every volume
PROJECT_LABEL = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
VOLUME = "com.docker.compose.volume"
ONE_OFF = "com.docker.compose.oneoff"  # of containers that are no service's
CHECKOUT = "checkout"  # our own label of a volume: the folder that it belongs to
# Health checks with a start interval came with these; a command line of before knows them not in a
# stack's files.
OLDEST = {"Docker Engine": "25.0", "Docker Compose": "2.20", "The command docker": "25.0"}
VERSIONS = "{{.Client.Version}}\n{{.Server.Version}}\n{{range .Server.Components}}{{.Name}} {{end}}"
FIELDS = {
    "name": "{{.Names}}",
    "service": f'{{{{.Label "{SERVICE}"}}}}',
    "image": "{{.Image}}",
    "state": "{{.State}}",
    "config": '{{.Label "com.docker.compose.config-hash"}}',
    "inputs": '{{.Label "build.inputs"}}',
    "folder": '{{.Label "com.docker.compose.project.working_dir"}}',
    "one_off": f'{{{{.Label "{ONE_OFF}"}}}}',
    "mounts": "{{.Mounts}}",
    "ports": "{{.Ports}}",
    "status": "{{.Status}}",
}


def patience() -> float:
    """How many seconds the engine may take to answer: a Swarm whose leader is lost looks for
    another."""
    return 30 if this_task.engine else ENGINE_SECONDS


def as_typed(words: str) -> str:
    """A docker command as it reaches the engine that is deployed to."""
    engine = this_task.engine
    flag = "--host" if "://" in engine else "--context"
    return f"docker {flag} {engine} {words}" if engine else f"docker {words}"


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

    def publishes(self, port: int) -> bool:
        """Whether it is reached at this port of the machine."""
        return f":{port}->" in self.ports

    @property
    def exit_code(self) -> int:
        """The exit code in a status such as `Exited (71) 2 seconds ago`; else 0."""
        found = re.match(r"Exited \((\d+)\)", self.status)
        return int(found[1]) if found else 0


def env_words(pairs: Iterable[str]) -> list[str]:
    """`--env` for each: a name alone, whose value then stays out of argv, or NAME=VALUE."""
    return [word for pair in pairs for word in ("--env", pair)]


def terminal_words() -> list[str]:
    """What has a program in a container read our stdin, and have a terminal if we have one."""
    return ["--interactive", *(["--tty"] if process.on_a_terminal() else [])]


def ask(*arguments: str, seconds: float = ENGINE_SECONDS) -> str:
    """The output of `docker ...`, or the problem that keeps it from answering."""
    result = process.run(["docker", *arguments], timeout=max(seconds, patience()))
    if result.code:
        raise diagnose(" ".join(("docker", *arguments[:2])), result.err)
    return result.out


def diagnose(command: str, reason: str = "") -> Problem:
    """Why a docker command failed: no command, no engine, no Compose, or its own reason."""
    if any(sign in reason for sign in NO_LEADER):
        return problem("DOCKER08")
    engine = _version()
    if engine.code in (126, 127):
        return problem("DOCKER01")
    if cause := _unfit_client(f"{engine.err}\n{reason}"):
        return cause
    if engine.code and this_task.engine:
        reason = _last_line(engine.err).rpartition("stderr=")[2]
        question = as_typed("version")
        return problem("DOCKER09", where=this_task.engine, question=question, reason=reason)
    if FORBIDDEN in engine.err:
        return _forbidden()
    if engine.code:
        chosen_by, host = endpoint()
        # A context's own socket that is silent means an engine, such as Docker Desktop's, to start.
        if chosen_by and (chosen_by.isupper() or is_elsewhere(host) or "://" not in host):
            return elsewhere(chosen_by, host, answers=False)
        return problem("DOCKER02", reason=_last_line(engine.err))
    compose = process.run(["docker", "compose", "version", "--short"])
    if compose.code:
        return problem("DOCKER04")
    if cause := unfit(engine.out, compose.out):
        return cause
    return refusals.named(reason) or problem("DOCKER05", command=command, reason=_last_line(reason))


def unfit(told: str, compose: str = "") -> Problem | None:
    """The problem, if the engine is not Docker's, or a part is too old; `told` is what docker
    answers to VERSIONS."""
    client, engine, parts = [*told.splitlines(), "", "", ""][:3]
    if "Podman" in parts:
        if by := endpoint()[0]:
            return problem("DOCKER12.chosen", version=engine, chosen_by=by, unset=_unset(by))
        return problem("DOCKER12", version=engine)
    versions = {"Docker Engine": engine, "Docker Compose": compose, "The command docker": client}
    for part, version in versions.items():
        if is_too_old(version, OLDEST[part]):
            return problem("DOCKER06", part=part, version=version.strip(), needed=OLDEST[part])
    return None


def refuse_unfit() -> None:
    """Raise if the engine is not Docker's, or a part is too old; one that is silent is left to the
    next command."""
    told = _version()
    cause = _unfit_client(told.err) if told.code else unfit(told.out)
    if cause:
        raise cause


def _unfit_client(error: str) -> Problem | None:
    """Give the problem of a command docker that is Podman's, or too old for the engine."""
    if refusals.CLIENT_REFUSED in error:
        client = process.run(["docker", "version", "--format", "{{.Client.Version}}"]).out.strip()
        part = "The command docker"
        return problem("DOCKER06", part=part, version=client or "older", needed=OLDEST[part])
    if "can't evaluate field" in error:
        told = process.run(["docker", "--version"]).out.strip()
        if "podman" in told.lower():
            return problem("DOCKER12", version=told.split()[-1])
    return None


def obstacle() -> Problem | None:
    """What keeps us from an engine that is there; None where there is none, or it can be used."""
    engine = _version()
    if FORBIDDEN in engine.err:
        return _forbidden()
    composes = engine.code or not process.run(["docker", "compose", "version", "--short"]).code
    return None if composes else problem("DOCKER04")


def _forbidden() -> Problem:
    """Who may use the engine's socket, and what lets us in."""
    chosen_by, host = endpoint()
    socket = host.removeprefix("unix://") or SOCKET
    try:
        found = Path(socket).stat()
    except OSError:  # in a folder that is closed to us
        found = None
    if found is None or (chosen_by and found.st_uid):
        return problem("DOCKER10", socket=socket, chosen_by=chosen_by, unset=_unset(chosen_by))
    group, members = _group(found.st_gid) if found.st_mode & stat.S_IWGRP else ("", [])
    if not group:
        return problem("DOCKER03.root", socket=socket, quoted=shlex.quote(socket))
    if _user() in members:
        return problem("DOCKER03.member", socket=socket, group=group)
    return problem("DOCKER03", socket=socket, group=group)


def elsewhere(chosen_by: str, host: str, *, answers: bool = True) -> Problem:
    """The problem that docker is led to an engine that is not this machine's."""
    back = _unset(chosen_by)
    if answers:
        return problem("DOCKER07", host=host, chosen_by=chosen_by, unset=back)
    return problem("DOCKER07.silent", host=host, chosen_by=chosen_by, unset=back)


def _unset(chosen_by: str) -> str:
    """What leads docker back to the usual engine."""
    return f"unset {chosen_by}" if chosen_by.isupper() else "docker context use default"


def _group(number: int) -> tuple[str, list[str]]:
    """The name and the members of a group; none of root's, or of one that has no name."""
    try:
        found = grp.getgrgid(number)
    except KeyError:
        return "", []
    return (found.gr_name, found.gr_mem) if number else ("", [])


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without a name
        return ""


def _version() -> process.Result:
    """What docker says of the versions. Over ssh, it at times tells of its own broken pipe alone,
    and not what ssh has said: then it is asked again."""
    question = ["docker", "version", "--format", VERSIONS]
    for _ in range(5):
        answer = process.run(question, timeout=DIAGNOSIS_SECONDS)
        if "broken pipe" not in answer.err:
            break
    return answer


def answers(seconds: float = ENGINE_SECONDS) -> bool:
    """Whether there is an engine with Compose; one that is silent for `seconds` is none."""
    return not any(
        process.run(["docker", *question], timeout=seconds).code
        for question in (("version",), ("compose", "version"))
    )


def is_too_old(version: str, oldest: str) -> bool:
    """Whether the first two numbers of `version`, if it has any, are lower than `oldest`'s."""
    ours, least = ([int(n) for n in re.findall(r"\d+", v)[:2]] for v in (version, oldest))
    return bool(ours) and ours < least


def endpoint() -> tuple[str, str]:
    """What leads docker to an engine elsewhere, and where to; two '' for the usual one.

    DOCKER_HOST beats DOCKER_CONTEXT, which beats the context that `docker context use` chose.
    """
    variables = process.environment()
    if host := variables.get(process.HOST):
        return process.HOST, host
    chosen_by = process.CONTEXT if variables.get(process.CONTEXT) else "docker context"
    name = variables.get(process.CONTEXT) or _chosen_context()
    if name in ("", "default"):
        return "", ""
    query = ["docker", "context", "inspect", name, "--format", "{{.Endpoints.docker.Host}}"]
    return chosen_by, process.run(query).out.strip() or f"context {name}"


def is_elsewhere(host: str) -> bool:
    """Whether an engine's address is that of another machine, as far as the address tells."""
    scheme, _, rest = host.partition("://")
    name = re.split(r"[:/]", rest.rpartition("@")[2])[0]
    return scheme in ("ssh", "tcp", "http", "https") and name not in ("localhost", "127.0.0.1")


def _chosen_context() -> str:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        return str(json.loads((folder / "config.json").read_text()).get("currentContext", ""))
    except (OSError, ValueError):
        return ""


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
    listing = ("ps", "--all", "--no-trunc", *label_filter(settings))
    text = ask(*listing, "--format", "\t".join(FIELDS.values()))
    found = [Container(*line.split("\t")) for line in text.splitlines()]
    for container in found:
        if folder := _made_elsewhere(container.folder):
            raise problem("RUN03", project=settings.project, folder=str(folder))
    return found


def is_anonymous(volume: str) -> bool:
    """Whether the engine named it: nobody finds such a volume again."""
    return bool(re.fullmatch("[0-9a-f]{64}", volume))


def running(settings: Settings, service: str) -> Container | None:
    """The running container of `service`, or None."""
    return next((c for c in containers(settings) if c.running and c.service == service), None)


def volumes(settings: Settings) -> list[Volume]:
    """List this project's volumes, with the sizes that the engine counts."""
    names = names_of("volume", settings)
    if not names:
        return []
    question = ("system", "df", "--verbose", "--format", "{{json .Volumes}}")
    usage = json.loads(ask(*question, seconds=USAGE_SECONDS))
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


def inspect(*names: str) -> dict[str, Any]:
    """What the engine knows of its objects of these names, in one question; others are left out."""
    result = process.run(["docker", "inspect", "--format", "{{json .}}", *names])
    missing = {line.rpartition(": ")[2] for line in result.err.splitlines()}
    there = (name for name in names if name not in missing)
    return dict(zip(there, map(json.loads, result.out.splitlines()), strict=False))


def label(found: dict[str, Any] | None, name: str) -> str:
    """A label of an inspected image, container or volume; '' where there is none."""
    labels = (found or {}).get("Labels") or (found or {}).get("Config", {}).get("Labels") or {}
    return str(labels.get(name, ""))


def environment(found: dict[str, Any] | None) -> dict[str, str]:
    """The environment of an inspected image or container."""
    pairs = (found or {}).get("Config", {}).get("Env") or []
    return dict(pair.split("=", 1) for pair in pairs)


def mounted_at(container: Container, path: str) -> str:
    """The volume, or the folder, under `path` in a container; '' if nothing is mounted there."""
    mounts = inspect(container.name).get(container.name, {}).get("Mounts", [])
    over = [m for m in mounts if f"{path}/".startswith(f"{m['Destination'].rstrip('/')}/")]
    closest: dict[str, Any] = max(over, key=lambda m: len(m["Destination"]), default={})
    return str(closest.get("Name") or closest.get("Source", ""))


def ended(container: Container) -> float:
    """When it ended, in seconds since 1970; 0 if it is gone."""
    state = inspect(container.name).get(container.name, {}).get("State", {})
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


def _volume(entry: dict[str, Any], sizes: dict[str, str]) -> Volume:
    name = entry["Name"]
    mounted = ask("ps", "--all", "--filter", f"volume={name}", "--format", "{{.Names}}").split()
    return Volume(name, sizes.get(name, ""), entry["CreatedAt"], mounted)


def bind(source: str, target: str) -> str:
    """The value of `--mount` for a folder or file of this machine, to be read; docker reads it as a
    line of CSV. A source that is not there is an error, and no new folder."""
    quoted = f"source={source}".replace('"', '""')
    return f'type=bind,"{quoted}",target={target},readonly'


def one_off(settings: Settings) -> list[str]:
    """Flags of a container that is this project's, and none of its services."""
    labels = (f"{PROJECT_LABEL}={settings.project}", "com.docker.compose.oneoff=True")
    return [word for label in labels for word in ("--label", label)]


def label_filter(settings: Settings) -> tuple[str, str]:
    """Arguments that narrow a docker listing to this project."""
    return "--filter", f"label={PROJECT_LABEL}={settings.project}"


def _last_line(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "no reason given")
