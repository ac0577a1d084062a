"""The Docker runtime: the services of `compose/`, driven through `docker compose`."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops import (
    ROOT,
    console,
    docker,
    freshness,
    ports,
    problems,
    process,
    readiness,
    removal,
)
from ops.causes import container as container_cause
from ops.causes import web as web_cause
from ops.docker import Container
from ops.env import Settings
from ops.lock import one_at_a_time
from ops.problems import Problem
from ops.process import ChildFailed, Result
from ops.status import ServiceStatus, Status
from ops.volumes import Volume

WAIT_SECONDS = 180
DATABASE_SECONDS = 60
POLL_SECONDS = 1.0
DEAD = ("exited", "dead")
MIGRATE = ("migrate", "--no-input")
DATA = "/var/lib/postgresql"  # where compose/db.yaml mounts the volume
# As the superuser that the entrypoint in compose/db.yaml noted when it made the volume.
SUPERUSER = f"""\
exec psql --no-psqlrc --quiet --no-align --tuples-only -v ON_ERROR_STOP=1 --dbname postgres \\
  --username "$(cat {DATA}/$PG_MAJOR/superuser 2>/dev/null || echo "$POSTGRES_USER")"
"""
# By the container's own address: on 127.0.0.1 the image asks for no password.
LOG_IN = 'exec psql --no-psqlrc --quiet --host "$(hostname)" --command "select 1"'


def up(settings: Settings) -> None:
    """Build what is stale, start what is not running, wait until all is healthy and migrated."""
    with one_at_a_time("up"):
        found = docker.containers(settings)
        inputs = freshness.stack_inputs(settings)
        if not _is_up(settings, found, inputs):
            _start(settings, found, inputs)
        if not process.mode.dry:
            _migrate(settings)


def down(settings: Settings) -> None:
    """Stop and remove the containers; the volumes, and with them all data, stay."""
    with one_at_a_time("down"):
        docker.containers(settings)  # refuses those of another checkout
        _compose(settings, "down", "--remove-orphans")


def build(settings: Settings, use_cache: bool) -> None:
    """Build the web image, and drop the one that it takes the place of."""
    with one_at_a_time("build"):
        _build(settings, use_cache, old_serves=docker.running(settings, "web") is not None)
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
        process.attach_or_fail(_exec(_database(settings), ["psql", *arguments], whom))
        return
    whom += [f"PGHOST={values['SQL_HOST']}", f"PGPORT={values['SQL_PORT']}", "PGPASSWORD"]
    client = ["docker", "run", "--rm", *_terminal(), *_environment(whom), values["POSTGRES_IMAGE"]]
    password = {"PGPASSWORD": values["SQL_PASSWORD"]}  # by environment: argv is public
    process.attach_or_fail([*client, "psql", *arguments], env=os.environ | password)


def start_database(settings: Settings) -> None:
    """Have the database run, without the web, and wait until its superuser gets in."""
    if docker.running(settings, "db") is None:
        volume = volume_name(settings)
        _claim_volume(settings, volume, docker.inspect(volume).get(volume))
        _compose(settings, "up", "--detach", "db")
    deadline = time.monotonic() + DATABASE_SECONDS
    while not process.mode.dry and superuser(settings, "select 1").code:
        db = _container(settings, "db")
        if db is None or not db.running or time.monotonic() > deadline:
            raise container_cause.of_database(settings, db) if db else problems.not_running("db")
        time.sleep(0.2)


def superuser(settings: Settings, script: str) -> Result:
    """Run a psql script past every password, on the socket within the container, captured.

    The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
    """
    names = ("SQL_USER", "SQL_PASSWORD", "SQL_DATABASE")
    values = {name: settings.values[name] for name in names}
    argv = _exec(_database(settings), ["sh", "-c", SUPERUSER], names, terminal=["--interactive"])
    return process.run(argv, env=os.environ | values, stdin=script)


def logs_in(settings: Settings) -> bool:
    """Whether the database lets in who `.env` names, with the password from there."""
    values = settings.values
    whom = [f"PGUSER={values['SQL_USER']}", f"PGDATABASE={values['SQL_DATABASE']}", "PGPASSWORD"]
    argv = _exec(_database(settings), ["sh", "-c", LOG_IN], whom, terminal=[])
    return not process.run(argv, env=os.environ | {"PGPASSWORD": values["SQL_PASSWORD"]}).code


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
    held = _volume_in_use(settings, found.get("db")) or docker.volumes(settings)
    return Status.of(settings, answer, is_edited(settings, found), services, held)


def is_edited(settings: Settings, found: Mapping[str, Container]) -> bool:
    """Whether the whole stack runs, but not as its files say now."""
    running = {name: c.config for name, c in found.items() if c.running}
    inputs = freshness.stack_inputs(settings)
    return set(running) == set(settings.services) and not freshness.is_current(inputs, running)


def _volume_in_use(settings: Settings, db: Container | None) -> list[Volume]:
    """The volume with its size as the db sees it: the engine would count all that it holds."""
    if db is None or not db.running:
        return []
    name = volume_name(settings)
    found = docker.inspect(name).get(name)
    counted = process.run(_exec(db, ["du", "-sk", DATA], terminal=[])).out.split()
    if found is None or not counted:
        return []
    return [Volume(name, f"{int(counted[0]) / 1000:.1f}MB", found["CreatedAt"], [db.name])]


def nuke(settings: Settings, yes: bool) -> None:
    """List what is this project's alone, ask for its name, remove it, check that it is gone."""
    with one_at_a_time("nuke"):
        docker.containers(settings)  # refuses those of another checkout
        doomed = _inventory(settings)
        _refuse_volumes_of_another(settings, doomed["volume"])
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


def _migrate(settings: Settings) -> None:
    answer = readiness.migrated(
        settings,
        lambda: manage(settings, MIGRATE),
        lambda: web_cause.waits_for_an_edit(web_log(settings) or ""),
    )
    if not answer.ready:
        raise web_cause.of_running(settings, answer, (web_log(settings) or ""))
    readiness.refuse(settings, answer)


def _is_up(settings: Settings, found: Sequence[Container], inputs: str) -> bool:
    running = {c.service: c for c in found if c.running}
    if set(running) != set(settings.services):
        return False
    web = running["web"]
    return (
        freshness.is_current(inputs, {c.service: c.config for c in running.values()})
        and web.inputs == freshness.image_inputs(settings)
        and web.image == image_name(settings)
    )


def _start(settings: Settings, found: Sequence[Container], inputs: str) -> None:
    web_runs = any(c.service == "web" and c.running for c in found)
    if not web_runs:
        _refuse_taken_port(settings)
    stale = _prepare(settings, web_runs)
    argv = ["docker", "compose", "up", "--detach", "--no-build", *settings.services]
    code = process.attach(argv, env=settings.child_environment(), progress=True)
    if code in process.INTERRUPTED:
        raise ChildFailed(code)
    if code:
        raise _not_started(settings)
    if process.mode.dry:
        return
    healthy = _wait_until_healthy(settings)
    freshness.remember(inputs, {service: c.config for service, c in healthy.items()})
    if stale:
        _drop_replaced_images(settings)


def _prepare(settings: Settings, web_runs: bool) -> bool:
    """What the containers need: images, and a volume that is ours; whether the web's was built."""
    _refuse_engine_elsewhere()
    images = {key: settings.values[key] for key in ("POSTGRES_IMAGE", "PYTHON_IMAGE")}
    volume = volume_name(settings)
    there = docker.inspect(image_name(settings), *images.values(), volume)
    built_from = docker.label(there.get(image_name(settings)), "build.inputs")
    stale = built_from != freshness.image_inputs(settings)
    for key, needed in (("POSTGRES_IMAGE", settings.has_own_database), ("PYTHON_IMAGE", stale)):
        if needed and images[key] not in there:
            container_cause.pull(settings, key)
    if settings.has_own_database:
        _claim_volume(settings, volume, there.get(volume))
    if stale:
        _build(settings, use_cache=True, old_serves=web_runs)
    return stale


def _refuse_engine_elsewhere() -> None:
    chosen_by, host = docker.endpoint()
    if docker.is_elsewhere(host):
        raise problems.engine_elsewhere(chosen_by, host, answers=True)


def _claim_volume(settings: Settings, name: str, found: dict[str, Any] | None) -> None:
    """Make the volume, with a label that says whose it is; one of somebody else is a problem."""
    if found is None:
        labels = {
            docker.PROJECT: settings.project,
            docker.VOLUME: "postgres_data",
            docker.CHECKOUT: str(ROOT),
        }
        flags = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
        process.attach_or_fail(["docker", "volume", "create", *flags, name], progress=True)
        return
    if owner := volume_owner(settings, found):
        raise problems.volume_of_another(name, owner)


def volume_owner(settings: Settings, found: dict[str, Any]) -> str:
    """Whose an inspected volume is, in words; '' if it is ours, or nobody's."""
    project = docker.label(found, docker.PROJECT)
    if project not in ("", settings.project):
        return f"the Compose project {project}"
    folder = docker.label(found, docker.CHECKOUT)
    if folder and docker.is_other_checkout(Path(folder)):
        return f"the checkout at {folder}"
    return ""


def _not_started(settings: Settings) -> Problem:
    if not docker.running(settings, "web") and not ports.port_is_free(settings.web_port):
        return _port_taken(settings)
    if settings.has_own_database:
        if problem := container_cause.of_architecture("POSTGRES_IMAGE", settings):
            return problem
    return docker.diagnose("docker compose up", "the reason stands above")


def _wait_until_healthy(settings: Settings) -> dict[str, Container]:
    """Until each service is; `compose up --wait` sits on where one has died and another waits."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = {
            c.service: c for c in docker.containers(settings) if c.service in settings.services
        }
        _refuse_anonymous_data(found.get("db"))
        late = [c for c in found.values() if "(healthy)" not in c.status]
        if len(found) == len(settings.services) and not late:
            return found
        dead = [c for c in late if c.state in DEAD or "(unhealthy)" in c.status]
        if dead or time.monotonic() > deadline:
            raise _service_failed(settings, found, dead or late)
        # To ask the engine costs what the starting services could use; to ask the web does not.
        readiness.wait(settings, POLL_SECONDS)


def _refuse_anonymous_data(db: Container | None) -> None:
    if db and any(docker.is_anonymous(volume) for volume in db.mounts.split(",")):
        volume = docker.mounted_at(db, DATA)
        if docker.is_anonymous(volume):
            raise problems.data_not_kept(f"the anonymous volume {volume[:12]}")


def _service_failed(
    settings: Settings, found: Mapping[str, Container], failed: Sequence[Container]
) -> Problem:
    if not failed:  # removed meanwhile, by somebody else
        gone = next(name for name in settings.services if name not in found)
        return problems.not_running(gone)
    first = min(failed, key=lambda container: container.service)
    if first.service == "db":
        return container_cause.of_database(settings, first)
    return web_cause.of(settings, docker.last_lines(first, web_cause.LINES), first.status)


def _build(settings: Settings, use_cache: bool, old_serves: bool) -> None:
    flags = [] if use_cache else ["--no-cache"]
    inputs = {"BUILD_INPUTS": freshness.image_inputs(settings)}
    argv = ["docker", "compose", "build", *flags, "web"]
    container_cause.build(settings, argv, settings.child_environment() | inputs, old_serves)


def _drop_replaced_images(settings: Settings) -> None:
    replaced = ["--filter", "dangling=true", *docker.label_filter(settings)]
    for image in docker.ask("image", "ls", *replaced, "--quiet").split():
        if not process.mode.dry:
            process.run(["docker", "image", "rm", image])  # one that a container uses stays


def _refuse_taken_port(settings: Settings) -> None:
    if not ports.port_is_free(settings.web_port):
        raise _port_taken(settings)


def _port_taken(settings: Settings) -> Problem:
    port = settings.web_port
    return problems.port_taken(port, ports.holder(port), ports.free_port(port))


# nuke


def _inventory(settings: Settings) -> dict[str, list[str]]:
    kinds = ("container", "volume", "network", "image")
    return {kind: docker.names_of(kind, settings) for kind in kinds}


def _refuse_volumes_of_another(settings: Settings, names: Sequence[str]) -> None:
    for name, found in docker.inspect(*names).items() if names else ():
        if owner := volume_owner(settings, found):
            raise problems.volume_of_another(name, owner)


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


def _exec(
    container: Container,
    argv: Sequence[str],
    env: Sequence[str] = (),
    terminal: Sequence[str] | None = None,
) -> list[str]:
    flags = _terminal() if terminal is None else terminal
    return ["docker", "exec", *flags, *_environment(env), container.name, *argv]


def _database(settings: Settings) -> Container:
    container = docker.running(settings, "db")
    if container is None:
        raise problems.not_running("db")
    return container


def _container(settings: Settings, service: str) -> Container | None:
    return next((c for c in docker.containers(settings) if c.service == service), None)


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


def image_name(settings: Settings) -> str:
    """The tag of the web image, as compose/web.yaml has it."""
    return f"{settings.project}-web"


def web_log(settings: Settings) -> str | None:
    """The end of a running web's log; None where none runs."""
    web = docker.running(settings, "web")
    return docker.last_lines(web, web_cause.LINES) if web else None


def volume_name(settings: Settings) -> str:
    """The volume's name, as Compose forms it."""
    return f"{settings.project}_postgres_data"


def _service_status(settings: Settings, name: str, found: Container | None) -> ServiceStatus:
    if found is None:
        return ServiceStatus(name, "absent", "not started", "")
    fresh = name != "web" or found.inputs == freshness.image_inputs(settings)
    return ServiceStatus(name, found.state, found.status, "fresh" if fresh else "stale")
