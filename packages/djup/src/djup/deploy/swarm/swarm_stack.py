"""A stack on the Swarm: its services and their tasks, as the engine tells of them."""

import json
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from djup.checkout import env
from djup.deploy.swarm import swarm
from djup.deploy.swarm.objects import NAMESPACE
from djup.deploy.swarm.release import SCALE, Release
from djup.docker import engine
from djup.host import process, temporary
from djup.problems import Problem, problem
from djup.terminal.task import this_task

FOLLOWERS = ("archive", "standby")
RELEASE, BEFORE = "deploy.release", "deploy.before"  # labels of our services
LABELS = "labels.yaml"
REPOSITORY = "deploy.repository"
GOOD, BAD = ("completed",), ("paused", "rollback_started", "rollback_paused", "rollback_completed")
FAILED = ("failed", "rejected", "orphaned", "complete")  # a service is not meant to be complete
UNHEALTHY = "its health check did not pass in time"  # then Swarm stops it, and it ends well
KILLED = "exit (137)"  # by the kernel
POLL_SECONDS = 0.5
NODES_SECONDS = 5
PATIENCE_SECONDS = 240  # without any task that came to run
Nodes = dict[str, tuple[str, str]]  # id -> name, state
NETWORKS_SECONDS = 60
SECOND = 1_000_000_000
DEFAULTS: dict[str, dict[str, Any]] = {
    "ContainerSpec": {"StopGracePeriod": 10 * SECOND},
    "RestartPolicy": {"Condition": "any", "Delay": 5 * SECOND},
}
SERVICES = re.compile(r"(?ms)^services:\n(.*?)(?=^\S|\Z)")
PORTS = re.compile(r"(?m)^    ports:\n(?:^     .*\n)*")  # of a service; nobody else may have them
LOGS_SECONDS = 10  # after which `docker service logs` is taken to be silent for ever


@dataclass(frozen=True)
class Task:
    """A task of a service: on which node, in which state (Swarm's own word, since when), why it
    ended; `current` if it is of the service's present version, `reachable` if its node is there."""

    id: str
    name: str
    node: str
    image: str
    state: str
    since: str
    wanted: str
    error: str
    current: bool
    reachable: bool

    @property
    def runs(self) -> bool:
        """Whether it runs, and is to."""
        return self.state == "running" and self.wanted == "running"

    @property
    def ends(self) -> bool:
        """Whether it was told to end, and is still there; of a node that is gone nobody knows."""
        there = self.state in ("starting", "running")
        return there and self.wanted != "running" and self.reachable


@dataclass(frozen=True)
class Declared:
    """A service of the stack as Swarm was last told: how many tasks it is to have (0 if one on each
    node that fits), its labels, how its update stands, its image and volumes."""

    name: str
    replicas: int
    labels: dict[str, str]
    update: str
    image: str
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class Service(Declared):
    """One with its tasks; where each node has one, as many are asked for as there are nodes."""

    tasks: tuple[Task, ...]

    @property
    def running(self) -> int:
        """For how many of its places a task of the present version runs: one that is started again
        while it is updated may get two for good (moby/swarmkit 2242)."""
        return len({task.name for task in self.tasks if task.runs and task.current})

    @property
    def settled(self) -> bool:
        """Whether every replica is of the present version, and none of another is left."""
        olds = [task for task in self.tasks if task.ends or (task.runs and not task.current)]
        return self.running == self.replicas and not olds and self.update in ("", *GOOD)


def roll(release: Release) -> None:
    """Hand a release to Swarm and wait until it serves; not for what follows the database, whose
    node may be lost: how that is, `deploy.status` tells."""
    apply(release)
    names = [name for name in rendered(release) if name not in FOLLOWERS]
    wait(release.stack, [f"{release.stack}_{name}" for name in names])


def end_others(release: Release) -> None:
    """End the services of ours that it has not. Only when it serves: until then the containers of
    before need their pooler, and the way back their database."""
    names = {f"{release.stack}_{name}" for name in rendered(release)}
    left = [service for service in declared(release.stack) if service.name not in names]
    ours = [service.name for service in left if RELEASE in service.labels]
    _end_followers(release.stack, ours)
    if ours:
        engine.ask("service", "rm", *ours)


def _end_followers(stack: str, names: Sequence[str]) -> None:
    """Wait for their ends: one that still runs takes again what the database keeps for it."""
    ending = [name for name in names if name.removeprefix(f"{stack}_") in FOLLOWERS]
    for name in ending:
        scale(stack, name.removeprefix(f"{stack}_"), 0)
    if ending:
        wait(stack, ending)


def serves(stack: str) -> bool:
    """Whether the web answers in the version that it was last given."""
    web = next((each for each in services(stack) if each.name == f"{stack}_web"), None)
    return bool(web and web.running)


def labelled(release: Release) -> Release:
    """The release with a label for each service of the project's own that has none: by it, a later
    release knows which services are its to end."""
    bare = [name for name, text in rendered(release).items() if f"{RELEASE}:" not in text]
    label = {"deploy": {"labels": {RELEASE: "${RELEASE:?}"}}}
    text = json.dumps({"services": dict.fromkeys(bare, label)})
    return replace(release, files={**release.files, LABELS: text}) if bare else release


def strangers(stack: str) -> list[str]:
    """Services in this name that were never a release of ours."""
    return [service.name for service in declared(stack) if RELEASE not in service.labels]


def apply(release: Release) -> None:
    """Hand a release to Swarm, which rolls to it."""
    with release.written_out() as paths:
        _deploy(release, paths)


def _deploy(release: Release, paths: Sequence[str]) -> None:
    known = set(env.known_keys())
    inherited = {key: value for key, value in os.environ.items() if key not in known}
    # A name without a slash is an image of this one node.
    resolve = "changed" if "/" in release.image else "never"
    flags = ["--detach", "--with-registry-auth", "--resolve-image", resolve]
    argv = ["docker", "stack", "deploy", *_as_flags(paths), *flags, release.stack]
    code = process.attach(argv, env=inherited | release.filled_in(), progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise problem("DEP17", stack=release.stack)


def apply_copy(release: Release, name: str) -> None:
    """Start the web of a release once more, as a service of another name: only who asks for that
    name is answered by it. What it may need, and is not there yet, is started as well."""
    single = release.with_values(WEB_REPLICAS="1", WEB_WORKERS="1")
    text = _config(single, single.filled_in())
    wanted = _services(text)
    existing = {service.name for service in declared(release.stack)}
    new = {n: s for n, s in wanted.items() if f"{release.stack}_{n}" not in existing}
    chosen = {**new, name: PORTS.sub("", wanted["web"])}
    body = "".join(f"  {n}:\n{service}" for n, service in chosen.items())
    with temporary.folder() as folder:
        file = Path(folder, "copy.yaml")
        # Filled in already: a $ that is left is one.
        filled = SERVICES.sub(lambda _: f"services:\n{body}", text).replace("$", "$$")
        file.write_text(filled)
        _deploy(release, [str(file)])


def rendered(release: Release) -> dict[str, str]:
    """Each service as Swarm would get it, with the names of its secrets and configs, and without
    what makes no other container: its scale, and the number of the release."""
    plain = release.with_values(**dict.fromkeys(SCALE, "1"), REPOSITORY="")
    text = _config(plain, plain.filled_in() | {"RELEASE": "0", "BEFORE": "0"})
    return {name: _named(part, release) for name, part in _services(text).items()}


def _config(release: Release, values: Mapping[str, str]) -> str:
    """The compose files of a release as one, filled in."""
    with release.written_out() as paths:
        argv = ["docker", "stack", "config", *_as_flags(paths)]
        done = process.run(argv, env={**os.environ, **values})
    if done.code:
        raise problem("DEP24", command="docker stack config", reason=done.err.strip())
    return done.out


def _as_flags(paths: Sequence[str]) -> list[str]:
    return [word for path in paths for word in ("--compose-file", path)]


def _services(text: str) -> dict[str, str]:
    """The text of each service in what `docker stack config` prints."""
    section = SERVICES.search(text)
    parts = re.split(r"(?m)^  ([\w.-]+):\n", section[1] if section else "")[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _named(service: str, release: Release) -> str:
    """A service with the full names of the secrets, configs and volumes that it has."""
    kinds = ("SECRET", "CONFIG", "VOLUME")
    keys = [f"{s.upper()}_{kind}" for s in re.findall(r"source: (\w+)", service) for kind in kinds]
    return "\n".join([service, *(release.values[key] for key in keys if key in release.values)])


def services(stack: str) -> list[Service]:
    """The services of the stack with their tasks, by name."""
    entries = _entries(stack)
    return _with_tasks(stack, entries, _nodes()) if entries else []


def declared(stack: str) -> list[Declared]:
    """The services of the stack without their tasks, by name: two questions instead of five."""
    return sorted((_declared(entry) for entry in _entries(stack)), key=_name)


def find(stack: str, name: str) -> Declared | None:
    """One service of the stack, such as `web`."""
    entries = inspected([f"{stack}_{name}"])
    return _declared(entries[0]) if entries else None


def _entries(stack: str) -> list[dict[str, Any]]:
    ids = engine.ask("service", "ls", *label_filter(stack), "--quiet").split()
    return inspected(ids) if ids else []


def inspected(names: Sequence[str]) -> list[dict[str, Any]]:
    """What Swarm knows of those services that are there."""
    said = _ask_unless(("no such service", "not found"), "service", "inspect", *names)
    entries: list[dict[str, Any]] = json.loads(said or "[]")
    return entries


def _with_tasks(stack: str, entries: Sequence[dict[str, Any]], nodes: Nodes) -> list[Service]:
    tasks = _tasks(stack)
    return sorted((_service(entry, tasks, nodes) for entry in entries), key=_name)


def _name(service: Declared) -> str:
    return service.name


def scale(stack: str, name: str, replicas: int) -> None:
    """Have a service of the stack run as many tasks."""
    argv = ["docker", "service", "scale", "--detach", f"{stack}_{name}={replicas}"]
    code = process.attach(argv, progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise problem("DEP24", command="docker service scale", reason=f"it ended with {code}")


def remove_service(stack: str, name: str) -> None:
    """End one service of the stack; nothing if it is not there."""
    if find(stack, name):
        engine.ask("service", "rm", f"{stack}_{name}")


def remove(stack: str) -> None:
    """End the services. Their networks go a moment later: who deployed meanwhile would find them
    there, and then no more."""
    process.attach_or_fail(["docker", "stack", "rm", "--detach=false", stack], progress=True)
    deadline = time.monotonic() + NETWORKS_SECONDS
    networks = ("network", "ls", *label_filter(stack), "--quiet")
    while not this_task.dry and engine.ask(*networks).strip() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def last_lines(task: str, count: int = 20) -> str:
    """The end of what a task wrote, on whatever node."""
    return logs("--tail", str(count), task)


def logs(*what: str) -> str:
    """What `docker service logs` tells; it may not end (docker/cli 4678), having said all."""
    argv = ["docker", "service", "logs", "--raw", *what]
    return process.run(argv, timeout=LOGS_SECONDS, merged=True).out.rstrip()


def wait(stack: str, names: Sequence[str] = (), tries: int = 3) -> None:
    """Until every service, or those named, has settled; a Problem with the failing task's own last
    lines where one has not, after so many tries."""
    began, progress, running = time.time(), time.monotonic(), -1
    look = _Look(stack, names)
    while True:
        asked = time.monotonic()
        waited_for = swarm.patiently(look.services)
        if all(service.settled for service in waited_for):
            return
        if cause := _failure(waited_for, began, tries):
            raise cause
        if (now := sum(service.running for service in waited_for)) != running:
            running, progress = now, time.monotonic()
        if time.monotonic() - progress > PATIENCE_SECONDS:
            raise _stuck(waited_for)
        # No more of the time asking than waiting: by SSH an answer takes a while.
        time.sleep(max(POLL_SECONDS, time.monotonic() - asked))


@dataclass
class _Look:
    """Services that are looked at again and again: which nodes there are is asked less often."""

    stack: str
    names: Sequence[str]
    nodes: Nodes = field(default_factory=dict)
    asked: float = -math.inf

    def services(self) -> list[Service]:
        entries = inspected(self.names) if self.names else _entries(self.stack)
        if time.monotonic() - self.asked > NODES_SECONDS:
            self.nodes, self.asked = _nodes(), time.monotonic()
        return _with_tasks(self.stack, entries, self.nodes)


def _failure(services: Sequence[Service], began: float, tries: int) -> Problem | None:
    for service in services:
        failed = [task for task in service.tasks if task.state in FAILED and _after(task, began)]
        # Where there is nothing to go back to, Swarm tries again for ever.
        hopeless = sum(task.current for task in failed) >= tries and not service.running
        if service.update in BAD or hopeless:
            return _failed(service, failed)
    return None


def _failed(service: Service, failed: Sequence[Task]) -> Problem:
    newest = max(failed, key=lambda task: task.since, default=None)
    lines = last_lines(newest.id) if newest else ""
    error = (newest.error or UNHEALTHY) if newest else ""
    return _not_ready(service.name, error, lines)


def _stuck(services: Sequence[Service]) -> Problem:
    service = next(service for service in services if not service.settled)
    waiting = [task for task in service.tasks if task.wanted == "running" and not task.runs]
    why = next((task.error for task in waiting if task.error), "")
    lines = last_lines(waiting[0].id) if waiting and not why else ""
    return _not_ready(service.name, why, lines)


def _not_ready(service: str, why: str, lines: str) -> Problem:
    name = service.rpartition("_")[2]
    if KILLED in why:
        why += f", as one ends that needs more memory than it may have ({name.upper()}_MEMORY)"
    if why:
        return problem("DEP15", lines, service=service, name=name, why=why)
    return problem("DEP15.silent", lines, service=service, name=name)


def _after(task: Task, began: float) -> bool:
    return datetime.fromisoformat(task.since).timestamp() > began - 1


def _service(entry: dict[str, Any], all_tasks: list[dict[str, Any]], nodes: Nodes) -> Service:
    spec = entry["Spec"]
    own = (task for task in all_tasks if task["ServiceID"] == entry["ID"])
    tasks = tuple(_task(task, spec, nodes) for task in own)
    known = replace(_declared(entry), replicas=_replicas(spec, tasks))
    return Service(**vars(known), tasks=tasks)


def _declared(entry: dict[str, Any]) -> Declared:
    spec = entry["Spec"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    mounts = container.get("Mounts") or ()
    return Declared(
        name=spec["Name"],
        replicas=_replicas(spec, ()),
        labels=spec.get("Labels") or {},
        update=str((entry.get("UpdateStatus") or {}).get("State", "")),
        image=_without_digest(container["Image"]),
        volumes=tuple(m["Source"] for m in mounts if m["Type"] == "volume" and "Source" in m),
    )


def _replicas(spec: dict[str, Any], tasks: Sequence[Task]) -> int:
    """What is asked for; of a global service as many as Swarm has found nodes for."""
    if "Replicated" in spec["Mode"]:
        return int(spec["Mode"]["Replicated"]["Replicas"])
    return len({task.node for task in tasks if task.wanted == "running"})


def _tasks(stack: str) -> list[dict[str, Any]]:
    """The tasks of the stack; one may be gone between the list and the look at it."""
    ids = _ask_unless(("nothing found",), "stack", "ps", "--quiet", "--no-trunc", stack).split()
    if not ids:
        return []
    look = ("inspect", "--type", "task", "--format", "{{json .}}", *ids)
    lines = _ask_unless(("no such task", "not found"), *look).splitlines()
    return [json.loads(line) for line in lines]


def _ask_unless(unless: Sequence[str], *arguments: str) -> str:
    """Ask docker; '' where it fails because there is nothing, as the words in `unless` say."""
    done = process.run(["docker", *arguments], timeout=engine.patience())
    if done.code and not any(word in done.err.lower() for word in unless):
        raise engine.diagnose(" ".join(("docker", *arguments[:2])), done.err)
    return done.out


def _task(task: dict[str, Any], service: dict[str, Any], nodes: Nodes) -> Task:
    spec, status = task["Spec"]["ContainerSpec"], task["Status"]
    node, state = nodes.get(task.get("NodeID", ""), ("", ""))
    return Task(
        id=task["ID"],
        name=f"{service['Name']}.{task.get('Slot') or node}",
        node=node,
        image=_without_digest(spec["Image"]),
        state=status["State"],
        since=status["Timestamp"],
        wanted=task["DesiredState"],
        error=status.get("Err", ""),
        current=_essence(task["Spec"]) == _essence(service["TaskTemplate"]),
        reachable=state == "Ready",
    )


def _essence(template: dict[str, Any]) -> dict[str, Any]:
    """Of a task's template what makes another container, spelled in one way: of a service docker
    tells the defaults as well, of a task it does not."""
    parts = {key: part for key, part in template.items() if key not in ("Runtime", "Placement")}
    for name, defaults in DEFAULTS.items():
        parts[name] = {**defaults, **(parts.get(name) or {})}
    cleaned = {
        key: {k: v for k, v in part.items() if v} if isinstance(part, dict) else part
        for key, part in parts.items()
    }
    return {key: part for key, part in cleaned.items() if part}


def _nodes() -> Nodes:
    lines = engine.ask("node", "ls", "--format", "{{.ID}} {{.Hostname}} {{.Status}}").splitlines()
    return {id: (name, state) for id, name, state in (line.split(" ") for line in lines)}


def _without_digest(image: str) -> str:
    return image.partition("@")[0]


def label_filter(stack: str) -> tuple[str, str]:
    """Arguments that narrow a docker listing to this stack."""
    return "--filter", f"label={NAMESPACE}={stack}"
