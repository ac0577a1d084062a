"""The Docker runtime: engine, containers, images, the volume, and the database from within."""

from functools import partial
from typing import Any

from djup import STATE
from djup.checkout import fingerprint, web_env
from djup.docker import (
    containers,
    data_volume,
    endpoint,
    engine,
    refusals,
    resources,
    shared_folder,
)
from djup.docker.containers import Container
from djup.doctor.checks import port, server
from djup.doctor.finding import Finding, Fix
from djup.host import process
from djup.postgres import remote
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack import docker_stack, docker_up, images, strays
from djup.stack import services as stack_services
from djup.stack.causes import container as container_cause
from djup.stack.causes import web as web_cause
from djup.stack.stack import Stack

# Told to end: by itself, by a signal, or with the engine.
STOPPED = (0, *process.INTERRUPTED, 255)


def check(stack: Stack) -> list[Finding]:
    """Everything that the engine can be asked, whatever is up."""
    settings = stack.settings
    asked = _engine()
    if asked.problem:  # what such a one says further is not to be relied on
        return [asked]
    listed = containers.all_containers(settings)
    if not any(container.running for container in listed):
        obstacles = [*_folder(settings), *_network(settings)]
        if any(finding.problem for finding in obstacles):
            return [asked, *obstacles]
    return [asked, *_project(stack, listed)]


def _project(stack: Stack, listed: list[Container]) -> list[Finding]:
    """What the engine has of this project."""
    settings, volume = stack.settings, data_volume.name_of(stack.settings)
    services = {c.service: c for c in listed if c.one_off != "True"}
    web, image = services.get("web"), images.web_image(settings)
    inspected = resources.inspect(image, volume)
    return [
        _port(settings, web),
        *(_service(stack, name, services) for name in stack.services),
        *_own_services(stack, services),
        _image(settings, web, inspected.get(image)),
        *_stack(stack, services),
        _leftovers(stack, listed),
        *_forgotten(),
        *_data(stack, inspected.get(volume), services.get("db")),
    ]


def _engine() -> Finding:
    told = engine.ask("version", "--format", engine.VERSIONS)
    asked = "".join(told.splitlines()[1:2])
    composed = process.run(["docker", "compose", "version", "--short"])
    name = "Podman" if "Podman" in told else "Docker"
    fact = f"{name} {asked}, Compose {composed.out.strip() or 'missing'}"
    if composed.code:
        return Finding("engine", fact, problem("DOCKER04"))
    if cause := engine.unfit(told, composed.out):
        return Finding("engine", fact, cause)
    chosen_by, host = endpoint.chosen()
    if endpoint.is_elsewhere(host):
        return Finding("engine", fact, engine.elsewhere(chosen_by, host))
    return Finding("engine", fact)


def _port(settings: Settings, web: Container | None) -> Finding:
    if web and web.running and web.publishes(settings.web_port):
        return Finding("port", f"{settings.web_port}, this checkout's")
    return port.check(settings)


def _service(stack: Stack, name: str, services: dict[str, Container]) -> Finding:
    container = services.get(name)
    if container and container.ended_well and stack_services.of_compose(stack.settings)[name]:
        return Finding(name, "has done its work")
    others_run = any(container.running for container in services.values())
    if container is None or (not container.running and container.exit_code in STOPPED):
        cause = problem("RUN01", service=name) if others_run else None
        fact = container.status if container else "not started"
        return Finding(name, fact, cause, known=others_run)
    return Finding(name, container.status, _cause(stack, container))


def _own_services(stack: Stack, services: dict[str, Container]) -> list[Finding]:
    """Report the services of the user's own compose files that docker calls unhealthy."""
    sick = [c for c in services.values() if c.running and "(unhealthy)" in c.status]
    own = [c for c in sick if c.service not in stack.services]
    return [Finding(c.service, c.status, container_cause.problem_of(stack, c)) for c in own]


def _folder(settings: Settings) -> list[Finding]:
    """Whether the engine sees project/, asked before it serves it; [] where it does."""
    names = (images.web_image(settings), settings.values["PYTHON_IMAGE"])
    image = next((name for name in names if name in resources.inspect(*names)), "")
    try:
        if image:
            shared_folder.refuse_unseen(settings, image)
    except Problem as error:
        return [Finding("folder", "the engine cannot see it", error)]
    return []


def _network(settings: Settings) -> list[Finding]:
    """Whether the engine has a subnet for the stack's network: it is asked for one, and has it
    back at once. [] where it has."""
    if resources.names_of("network", settings):
        return []
    name = f"{settings.project}_doctor"
    label = f"{resources.PROJECT_LABEL}={settings.project}"
    done = process.run(["docker", "network", "create", "--label", label, name])
    if not done.code:
        process.clean_up(["docker", "network", "rm", name])
    cause = refusals.named(done.err) if done.code else None
    return [Finding("network", "none can be created", cause)] if cause else []


def _cause(stack: Stack, container: Container) -> Problem | None:
    if container.running or container.service == "db":
        return container_cause.problem_of(stack, container)
    if container.service != "web":
        return container_cause.of_other(container)
    log = containers.last_lines(container, web_cause.LINES)
    return web_cause.still_holds(stack, log, container.status, containers.ended(container))


def _image(settings: Settings, web: Container | None, image: dict[str, Any] | None) -> Finding:
    inputs = fingerprint.image_inputs(settings)
    if web and web.running and web.inputs != inputs:
        return Finding("image", "stale", problem("IMG05"), restarts=True)
    if not images.is_fresh(settings, image):
        return Finding("image", "inv up will build it", known=False)
    return Finding("image", "fresh")


def _stack(stack: Stack, services: dict[str, Container]) -> list[Finding]:
    settings = stack.settings
    if not docker_up.settled(stack_services.of_compose(settings), services.values()):
        return []
    if docker_stack.is_edited(settings, services):
        fact, cause = "older than its files", _why_not_up(stack, services)
        if cause:
            return [Finding("stack", fact, cause, restarts=True)]
        return [Finding("stack", fact, problem("RUN04"), edited=True)]
    return [Finding("stack", "matches .env and the compose files")]


def _why_not_up(stack: Stack, services: dict[str, Container]) -> Problem | None:
    """What would keep `up` from starting the services again."""
    settings = stack.settings
    if not settings.has_own_database:
        return None
    db, image = services["db"].name, settings.values["POSTGRES_IMAGE"]
    inspected = resources.inspect(db, image)
    if db not in inspected:  # removed a moment ago
        return None
    try:
        docker_up.refuse_misfit(stack, inspected[db], inspected.get(image))
    except Problem as found:
        return found
    return None


def _leftovers(stack: Stack, listed: list[Container]) -> Finding:
    killed = remote.killed(listed)
    left = [c.name for c in listed if c.one_off == "True" and (not c.running or c.name in killed)]
    others = [c for c in listed if c.one_off != "True" and c.service not in stack.services]
    if others:  # perhaps of a profile that is not active now, or of the database that is not used
        argv = ["docker", "compose", "--profile", "*", "config", "--services"]
        declared = process.run(argv, env=web_env.compose_environment(stack.settings))
        if not declared.code:  # files that cannot be read declare nothing, and disown nothing
            left += [c.name for c in others if c.service not in declared.out.split()]
    if not left:
        return Finding("containers", "none left behind")
    fix = Fix(f"docker rm --force {' '.join(left)}", partial(containers.remove_containers, left))
    return Finding(
        "containers", "some were left behind", problem("RUN05", names=", ".join(left)), fix
    )


def _forgotten() -> list[Finding]:
    """What still runs of an embedded stack whose `.env` and notes were deleted."""
    strayed = [] if STATE.exists() else strays.find(())
    return (
        [Finding("processes", "running, but no longer tracked", strays.problem_of(strayed))]
        if strayed
        else []
    )


def _data(stack: Stack, volume: dict[str, Any] | None, db: Container | None) -> list[Finding]:
    if not stack.settings.has_own_database:
        return []
    return [_volume(stack.settings, volume), *(_inside(stack, db) if db and db.running else ())]


def _volume(settings: Settings, volume: dict[str, Any] | None) -> Finding:
    name = data_volume.name_of(settings)
    if volume is None:
        return Finding("volume", "inv up will create it", known=False)
    if owner := data_volume.owner_of(settings, volume):
        return Finding("volume", f"of {owner}", problem("DB08", volume=name, owner=owner))
    return Finding("volume", name)


def _inside(stack: Stack, db: Container) -> list[Finding]:
    mounted = containers.mounted_at(db, data_volume.DATA)
    if not mounted or resources.is_anonymous(mounted):
        where = f"the anonymous volume {mounted[:12]}" if mounted else "the container itself"
        return [Finding("data", where, problem("DB07", where=where))]
    return [Finding("data", f"in {mounted}"), *server.check(stack)]
