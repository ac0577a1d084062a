"""The Docker runtime: the services of `compose/`, driven through `docker compose`."""

import os
import time
from collections.abc import Mapping, Sequence

from ops import ROOT, console, docker, freshness, newenv, problems, process, readiness, removal
from ops.docker import Container
from ops.env import Settings
from ops.lock import one_at_a_time
from ops.problems import Problem
from ops.process import ChildFailed
from ops.status import ServiceStatus, Status
from ops.volumes import Volume

WAIT_SECONDS = 180
POLL_SECONDS = 1.0
INTERRUPTED = (130, 143)
DEAD = ("exited", "dead")
MIGRATE = ("migrate", "--no-input")


def up(settings: Settings) -> None:
    """Build what is stale, start what is not running, wait until all is healthy and migrated."""
    with one_at_a_time("up"):
        found = docker.containers(settings)
        inputs = freshness.stack_inputs(settings)
        if not _is_up(settings, found, inputs):
            _start(settings, found, inputs)
        if not process.mode.dry:
            answer = readiness.migrated(settings, lambda: manage(settings, MIGRATE))
            if not answer.ready:
                raise _not_ready(settings, answer.reason)


def down(settings: Settings) -> None:
    """Stop and remove the containers; the volumes, and with them all data, stay."""
    with one_at_a_time("down"):
        docker.containers(settings)  # refuses those of another checkout
        _compose(settings, "down", "--remove-orphans")


def build(settings: Settings, use_cache: bool) -> None:
    """Build the web image, and drop the one that it takes the place of."""
    with one_at_a_time("build"):
        _build(settings, use_cache)
        _drop_replaced_images(settings)


def manage(settings: Settings, arguments: Sequence[str]) -> None:
    """Run `manage.py` beside the database, in the web container."""
    _in_service(settings, "web", ["python", "manage.py", *arguments])


def shell(settings: Settings, service: str, arguments: Sequence[str]) -> None:
    """`ash` in the container of `service`."""
    _in_service(settings, service, ["ash", *arguments])


def psql(settings: Settings, arguments: Sequence[str]) -> None:
    """psql on the project's database as its own user."""
    values = settings.values
    whom = [f"PGUSER={values['SQL_USER']}", f"PGDATABASE={values['SQL_DATABASE']}"]
    if settings.has_own_database:
        container = docker.running(settings, "db")
        if container is None:
            raise problems.not_running("db")
        process.attach_or_fail(_exec(container, ["psql", *arguments], whom))
        return
    whom += [f"PGHOST={values['SQL_HOST']}", f"PGPORT={values['SQL_PORT']}", "PGPASSWORD"]
    client = ["docker", "run", "--rm", *_terminal(), *_environment(whom), values["POSTGRES_IMAGE"]]
    password = {"PGPASSWORD": values["SQL_PASSWORD"]}  # by environment: argv is public
    process.attach_or_fail([*client, "psql", *arguments], env=os.environ | password)


def logs(settings: Settings, service: str, follow: bool, lines: str) -> None:
    """The services' own output, the last `lines` of each."""
    chosen = [settings.service(service)] if service else []
    _compose(settings, "logs", f"--tail={lines}", *(["--follow"] if follow else []), *chosen)


def compose(settings: Settings, arguments: Sequence[str]) -> None:
    """`docker compose` itself, with `.env` winning as in every task."""
    _compose(settings, *arguments)


def volumes(settings: Settings) -> list[Volume]:
    """This project's volumes."""
    return docker.volumes(settings)


def status(settings: Settings) -> Status:
    """What runs, in which state, from which image; whether it is ready, by asking the web."""
    found = {c.service: c for c in docker.containers(settings)}
    services = [_service_status(settings, name, found.get(name)) for name in settings.services]
    web = found.get("web")
    answer = readiness.ask(settings) if web and web.running else readiness.NOT_RUNNING
    return Status.of(settings, answer, services)


def nuke(settings: Settings, yes: bool) -> None:
    """List what is this project's alone, ask for its name, remove it, check that it is gone."""
    with one_at_a_time("nuke"):
        docker.containers(settings)  # refuses those of another checkout
        doomed = _inventory(settings)
        if not any(doomed.values()):
            console.say(f"nothing of {settings.project} is here")
            return
        sizes = {v.name: v.size for v in docker.volumes(settings)}
        rows = [
            (kind, name, sizes.get(name, "")) for kind, names in doomed.items() for name in names
        ]
        removal.confirm(settings.project, rows, yes)
        _remove(doomed)
        if not process.mode.dry:
            left = [name for names in _inventory(settings).values() for name in names]
            embedded = ROOT / ".data"
            removal.check(settings.project, left, [str(embedded)] if embedded.exists() else [])


# up


def _is_up(settings: Settings, found: Sequence[Container], inputs: str) -> bool:
    running = {c.service: c for c in found if c.running}
    if set(running) != set(settings.services):
        return False
    web = running["web"]
    return (
        freshness.is_current(inputs, {c.service: c.config for c in running.values()})
        and web.inputs == freshness.image_inputs(settings)
        and web.image == _image(settings)
    )


def _start(settings: Settings, found: Sequence[Container], inputs: str) -> None:
    if not any(c.service == "web" and c.running for c in found):
        _refuse_taken_port(settings)
    stale = docker.image_label(_image(settings), "build.inputs") != freshness.image_inputs(settings)
    if stale:
        _build(settings, use_cache=True)
    argv = ["docker", "compose", "up", "--detach", "--no-build", *settings.services]
    code = process.attach(argv, env=settings.child_environment(), progress=True)
    if code in INTERRUPTED:
        raise ChildFailed(code)
    if code:
        raise docker.diagnose("docker compose up", "the reason stands above")
    if process.mode.dry:
        return
    healthy = _wait_until_healthy(settings)
    freshness.remember(inputs, {service: c.config for service, c in healthy.items()})
    if stale:
        _drop_replaced_images(settings)


def _wait_until_healthy(settings: Settings) -> dict[str, Container]:
    """Until each service is; `compose up --wait` sits on where one has died and another waits."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = {
            c.service: c for c in docker.containers(settings) if c.service in settings.services
        }
        late = [c for c in found.values() if "(healthy)" not in c.status]
        if len(found) == len(settings.services) and not late:
            return found
        dead = [c for c in late if c.state in DEAD or "(unhealthy)" in c.status]
        if dead or time.monotonic() > deadline:
            raise _service_failed(settings, found, dead or late)
        # To ask the engine costs what the starting services could use; to ask the web does not.
        readiness.wait(settings, POLL_SECONDS)


def _service_failed(
    settings: Settings, found: Mapping[str, Container], failed: Sequence[Container]
) -> Problem:
    if not failed:  # removed meanwhile, by somebody else
        gone = next(name for name in settings.services if name not in found)
        return problems.service_failed(gone, "gone")
    first = min(failed, key=lambda container: container.service)
    console.say(docker.last_lines(first))
    return problems.service_failed(first.service, first.status)


def _build(settings: Settings, use_cache: bool) -> None:
    flags = [] if use_cache else ["--no-cache"]
    inputs = {"BUILD_INPUTS": freshness.image_inputs(settings)}
    argv = ["docker", "compose", "build", *flags, "web"]
    code = process.attach(argv, env=settings.child_environment() | inputs, progress=True)
    if code in INTERRUPTED:
        raise ChildFailed(code)
    if code:
        raise problems.build_failed() if docker.engine_answers() else docker.diagnose("build")


def _drop_replaced_images(settings: Settings) -> None:
    replaced = ["--filter", "dangling=true", *docker.label_filter(settings)]
    for image in docker.ask("image", "ls", *replaced, "--quiet").split():
        if not process.mode.dry:
            process.run(["docker", "image", "rm", image])  # one that a container uses stays


def _not_ready(settings: Settings, reason: str) -> Problem:
    web = docker.running(settings, "web")
    console.say(docker.last_lines(web) if web else "")
    return problems.not_ready(reason)


def _refuse_taken_port(settings: Settings) -> None:
    if not newenv.port_is_free(settings.web_port):
        raise problems.port_taken(settings.web_port, newenv.free_port(settings.web_port))


# nuke


def _inventory(settings: Settings) -> dict[str, list[str]]:
    kinds = ("container", "volume", "network", "image")
    return {kind: docker.names_of(kind, settings) for kind in kinds}


def _remove(doomed: dict[str, list[str]]) -> None:
    for kind, names in doomed.items():
        if names:
            force = ["--force"] if kind == "container" else []
            process.attach(["docker", kind, "rm", *force, *names], progress=True)


# Commands


def _in_service(settings: Settings, service: str, argv: Sequence[str]) -> None:
    """In the running container; where the web has died, in a new one that is removed after."""
    settings.service(service)
    container = docker.running(settings, service)
    if container:
        process.attach_or_fail(_exec(container, argv))
    elif service == "web" and docker.containers(settings):
        console.say("the web is not running: this runs in a container of its own")
        terminal = [] if process.on_a_terminal() else ["--no-TTY"]
        _compose(settings, "run", "--rm", "--no-deps", *terminal, "web", *argv)
    else:
        raise problems.not_running(service)


def _exec(container: Container, argv: Sequence[str], env: Sequence[str] = ()) -> list[str]:
    return ["docker", "exec", *_terminal(), *_environment(env), container.name, *argv]


def _terminal() -> list[str]:
    return ["--interactive", *(["--tty"] if process.on_a_terminal() else [])]


def _environment(pairs: Sequence[str]) -> list[str]:
    return [word for pair in pairs for word in ("--env", pair)]


def _compose(settings: Settings, *arguments: str) -> None:
    argv = ["docker", "compose", *arguments]
    code = process.attach(argv, env=settings.child_environment())
    if code and not docker.engine_answers():
        raise docker.diagnose("docker compose")
    if code:
        raise ChildFailed(code)


def _image(settings: Settings) -> str:
    return f"{settings.project}-web"


def _service_status(settings: Settings, name: str, found: Container | None) -> ServiceStatus:
    if found is None:
        return ServiceStatus(name, "absent", "not started", "")
    fresh = name != "web" or found.inputs == freshness.image_inputs(settings)
    return ServiceStatus(name, found.state, found.status, "fresh" if fresh else "stale")
