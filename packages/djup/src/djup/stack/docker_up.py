"""How the services in containers come up: built and pulled, started, waited for, migrated."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from djup.checkout import fingerprint, web_env
from djup.docker import (
    base_images,
    containers,
    data_volume,
    endpoint,
    engine,
    media_volume,
    resources,
    shared_folder,
)
from djup.docker.containers import Container
from djup.host import ports, process
from djup.postgres import remote
from djup.postgres.client import MAINTENANCE
from djup.problems import DatabaseStarts, Problem, problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import compose, images, migrate, services
from djup.stack.causes import container as container_cause
from djup.stack.causes import db as db_cause
from djup.stack.causes import login, migrations, readiness
from djup.stack.causes import web as web_cause
from djup.stack.causes.readiness import Readiness
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

WAIT_SECONDS = 180
POLL_SECONDS = 1.0
REMOVAL_SECONDS = 20
TELL_SECONDS = 10
CHECK_SECONDS = 15  # until a service that answers is to be healthy as well
MADE_WITH = {
    "POSTGRES_USER": "SQL_USER",
    "POSTGRES_PASSWORD": "SQL_PASSWORD",
    "POSTGRES_DB": "SQL_DATABASE",
}
MIGRATE = ("python", "manage.py", "migrate", "--no-input")
WHOLE_ON_STDERR = f"{migrate.LOG_KEY}={migrate.ON_STDERR}"


def up(stack: Stack) -> None:
    """Build what is stale, start what does not run, wait until all is healthy and migrated."""
    listed = _after_removals(stack.settings)
    image = fingerprint.image_inputs(stack.settings)
    inputs = fingerprint.stack_inputs(stack.settings, image)
    if not _is_up(stack.settings, listed, inputs, image):
        gone = fingerprint.remembered() - {*stack.services, "db"}
        _start(stack, listed, inputs)
        _end([container for container in listed if container.service in gone])
    if not this_task.dry:
        _migrate(stack)
        _note_unhealthy(stack, listed)


def _migrate(stack: Stack) -> None:
    settings = stack.settings
    answer = _answer(stack)
    if not answer.ready and (lost := web_cause.lost_names(stack, answer)):
        console.say(f"{lost.what} They will be restarted.")
        again = ["--detach", "--force-recreate"]
        argv = ["docker", "compose", "up", *again, *stack.services]
        process.attach(argv, env=web_env.compose_environment(settings), progress=True)
        _wait_until_healthy(stack)
        answer = _answer(stack)
    readiness.refuse(answer if answer.ready else _once_database_runs(stack, answer))


def _once_database_runs(stack: Stack, answer: Readiness) -> Readiness:
    """What the web says once its database has repeated its log of changes; raise why it is not
    ready, where that is not what it waits for."""
    started, told = time.monotonic(), False
    while not answer.ready:
        cause = web_cause.of_running(stack, answer, stack.web_log() or "")
        if not isinstance(cause, DatabaseStarts) or time.monotonic() - started > WAIT_SECONDS:
            raise cause
        if not told:
            console.say(f"still waiting: {cause.what}")
            told = True
        answer = _answer(stack)
    return answer


def _answer(stack: Stack) -> Readiness:
    """What the web says, after the migrations added since its start."""
    return readiness.migrated(
        stack.settings,
        lambda: migrate.beside_web(
            compose.inside(
                compose.running(stack.settings, "web"), MIGRATE, [WHOLE_ON_STDERR], terminal=[]
            )
        ),
        lambda: web_cause.waits_for_an_edit(stack.web_log() or ""),
    )


def _note_unhealthy(stack: Stack, listed: Sequence[Container]) -> None:
    """Say which services that ran before docker calls unhealthy, though the page is served."""
    for container in listed:
        sick = container.running and "(unhealthy)" in container.status
        if sick and (cause := container_cause.problem_of(stack, container)):
            console.say(cause.as_note())


def _after_removals(settings: Settings) -> list[Container]:
    """The containers, when none is on its way out: a task that was killed leaves that to the
    engine."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while True:
        listed = containers.containers(settings)
        if time.monotonic() > deadline or not any(c.state == "removing" for c in listed):
            return listed
        time.sleep(POLL_SECONDS)


def _is_up(settings: Settings, listed: Sequence[Container], inputs: str, image: str) -> bool:
    wanted = services.of_compose(settings)
    if not settled(wanted, listed):
        return False
    web = next(c for c in listed if c.service == "web" and c.running)
    return (
        fingerprint.is_current(inputs, configs(wanted, listed))
        and web.inputs == image
        and web.image == images.web_image(settings)
    )


def settled(wanted: Mapping[str, bool], listed: Iterable[Container]) -> bool:
    """Whether the `wanted` services run, and none of those that were to end; one that may end by
    itself (the value says so) runs or has ended well."""
    there = {c.service for c in listed if c.running or (wanted.get(c.service) and c.ended_well)}
    gone = (fingerprint.remembered() | {"db"}) - wanted.keys()
    return wanted.keys() <= there and gone.isdisjoint(there)


def configs(wanted: Collection[str], listed: Iterable[Container]) -> dict[str, str]:
    """The config hashes of the containers of these services."""
    return {
        container.service: container.config for container in listed if container.service in wanted
    }


def _start(stack: Stack, listed: Sequence[Container], inputs: str) -> None:
    settings = stack.settings
    running = {c.service: c for c in listed if c.running}
    _refuse_unsuitable_engine()
    _refuse_taken_port(settings, running)
    stale = _prepare(stack, running)
    _refuse_left_behind(stack)
    _compose_up(stack, again=_lacks_names(stack, listed))
    if this_task.dry:
        return
    healthy = _wait_until_healthy(stack)
    if "db" in running and not settings.has_own_database:
        _stop_unused_database(settings)
    fingerprint.remember(inputs, configs(healthy, healthy.values()))
    if stale:
        images.drop_replaced(settings)


def _refuse_unsuitable_engine() -> None:
    chosen_by, host = endpoint.chosen()
    if endpoint.is_elsewhere(host):
        raise engine.elsewhere(chosen_by, host)
    engine.refuse_unfit()


def _refuse_taken_port(settings: Settings, running: Mapping[str, Container]) -> None:
    if "web" not in running or not running["web"].publishes(settings.web_port):
        ports.refuse_taken(settings.web_port)
    page = int(settings.values["MAIL_PORT"])
    is_ours = "mail" in running and running["mail"].publishes(page)
    if "mail" in layout().services and not is_ours and not ports.port_is_free(page):
        raise problem("NET01.mail", port=page, free=ports.free_port(page))


def _lacks_names(stack: Stack, listed: Sequence[Container]) -> bool:
    """Whether a service ended because it did not find by its name a db that runs: where that is
    lost, only new containers get one."""
    if not any(c.service == "db" and c.running for c in listed):
        return False
    asks_db = ("web", *services.OF_CODE)
    dead = [c for c in listed if c.service in asks_db and c.state in container_cause.DEAD]
    return any(
        web_cause.ended_without_names(stack, containers.last_lines(c, web_cause.LINES), c.exit_code)
        for c in dead
    )


def _compose_up(stack: Stack, *, again: bool) -> None:
    # The web's image is there; an image of the user's own is built if it is missing.
    argv = ["docker", "compose", "up", "--detach"]
    argv += [*(["--force-recreate"] if again else []), *stack.services]
    # Those that this project has no longer are ended afterwards, and others are not ours.
    environment = web_env.compose_environment(stack.settings) | {"COMPOSE_IGNORE_ORPHANS": "1"}
    code = process.attach(argv, env=environment, progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise _not_started(stack)


def _end(removed: Sequence[Container]) -> None:
    """End the containers of services that the last `up` has started and the files no longer name;
    others of this project, of a compose file that somebody uses by hand, stay."""
    for container in removed:
        console.say(f"the service {container.service} is no longer one of the project: it ends")
        process.attach(["docker", "stop", container.name], progress=True)
    if removed:
        containers.remove_containers([container.name for container in removed])


def _stop_unused_database(settings: Settings) -> None:
    console.say("the stack's own database is not in use: it stops, and its volume stays")
    argv = ["docker", "compose", "rm", "--stop", "--force", "db"]
    process.attach(argv, env=web_env.compose_environment(settings), progress=True)


def _prepare(stack: Stack, running: Mapping[str, Container]) -> bool:
    """What the containers need: images, and a volume that is ours; whether the web's was built."""
    settings = stack.settings
    remote.refuse_missing_certificates(settings)
    web, base = images.web_image(settings), settings.values["PYTHON_IMAGE"]
    inspected = _inspect_needed(settings, running)
    stale = not images.is_fresh(settings, inspected.get(web))
    _pull_missing(settings, inspected, stale)
    if "web" not in running:
        shared_folder.refuse_unseen(settings, base if stale else web)
    if settings.has_own_database:
        _prepare_database(stack, running.get("db"), inspected)
    if stale:
        images.build(settings, use_cache=True, old_serves="web" in running)
    media_volume.prepare(settings, web)
    return stale


def _inspect_needed(settings: Settings, running: Mapping[str, Container]) -> dict[str, Any]:
    """What the engine knows of the images, of the volume, and of a database that runs."""
    bases = (settings.values["POSTGRES_IMAGE"], settings.values["PYTHON_IMAGE"])
    db = [running["db"].name] if "db" in running else []
    names = (images.web_image(settings), *bases, data_volume.name_of(settings), *db)
    return resources.inspect(*names)


def _pull_missing(settings: Settings, inspected: Mapping[str, Any], stale: bool) -> None:
    """Fetch the images that are used: PostgreSQL's by the database, Python's by a build."""
    used = {"POSTGRES_IMAGE": settings.has_own_database, "PYTHON_IMAGE": stale}
    for key in used:
        if used[key] and settings.values[key] not in inspected:
            images.pull(settings, key)


def _prepare_database(stack: Stack, db: Container | None, inspected: Mapping[str, Any]) -> None:
    """Claim the volume, and refuse what a database that runs would not come up with."""
    settings = stack.settings
    data_volume.claim(settings, inspected.get(data_volume.name_of(settings)))
    if db and db.name in inspected:
        image = inspected.get(settings.values["POSTGRES_IMAGE"])
        refuse_misfit(stack, inspected[db.name], image)


def refuse_misfit(stack: Stack, db: dict[str, Any], image: dict[str, Any] | None) -> None:
    """While the database still runs as it was: what it would not come up with, or not let in."""
    settings = stack.settings
    made_with, offered = resources.environment(db), resources.environment(image)
    major = made_with.get("PG_MAJOR", "")
    if offered.get("PG_MAJOR", major) != major:
        wanted, before = settings.values["POSTGRES_IMAGE"], db["Config"]["Image"]
        raise db_cause.other_version(major, wanted, offered["PG_MAJOR"], before)
    given = {name: settings.values[key] for name, key in MADE_WITH.items()}
    changed = any(made_with.get(name) != value for name, value in given.items())
    if changed and not this_task.dry and (cause := login.misfit(stack)):
        raise cause


def _refuse_left_behind(stack: Stack) -> None:
    """Before the web fills a database that every server has, and that is not the one of before."""
    settings = stack.settings
    named = settings.values["SQL_DATABASE"] == MAINTENANCE
    if named and settings.has_own_database and not this_task.dry:
        stack.start_database()
        if cause := login.left_behind(stack):
            raise cause


def _not_started(stack: Stack) -> Problem:
    settings = stack.settings
    if not containers.running(settings, "web") and not ports.port_is_free(settings.web_port):
        return ports.taken(settings.web_port)
    own = settings.has_own_database
    if own and (cause := base_images.of_architecture("POSTGRES_IMAGE", settings)):
        return cause
    # The reason is above, for a person to read; again for us, up to where nothing is started.
    argv = ["docker", "compose", "create", "--no-build", *stack.services]
    said = process.run(argv, env=web_env.compose_environment(settings)).err
    return engine.diagnose("docker compose up", said.strip() or "the reason is above")


def _wait_until_healthy(stack: Stack) -> dict[str, Container]:
    """Until each service is; `compose up --wait` sits on where one has died and another waits."""
    settings = stack.settings
    wanted = services.of_compose(settings)
    started = time.monotonic()
    told, progress = False, migrations.Progress()
    while True:
        found = _containers_of(settings, wanted)
        late = [c for c in found.values() if not _is_ready(c, may_end=wanted[c.service])]
        if len(found) == len(wanted) and not late:
            return found
        if _is_slow(late, started) and progress.has_time(stack.web_log):
            late = [c for c in late if c.service != "web"]
        if late or len(found) < len(wanted):
            _refuse_failed(stack, found, late, started)
        if not told and time.monotonic() - started > TELL_SECONDS:
            waits_for = ", ".join(f"{c.service} ({c.status})" for c in late)
            console.say(f"still waiting for {waits_for}; inv logs shows what it does")
            told = True
        # To ask the engine costs what the starting services could use; to ask the web does not.
        readiness.wait(settings, POLL_SECONDS)


def _is_slow(late: Sequence[Container], started: float) -> bool:
    """Whether a web that runs has been waited for long enough, or its health check says so."""
    web = next((c for c in late if c.service == "web" and c.running), None)
    over = time.monotonic() - started > WAIT_SECONDS
    return web is not None and (over or "(unhealthy)" in web.status)


def _is_ready(container: Container, *, may_end: bool) -> bool:
    """Whether a service is as it is to be: healthy by what it declares, or ended if it may."""
    return container.healthy or (may_end and container.ended_well)


def _containers_of(settings: Settings, wanted: Collection[str]) -> dict[str, Container]:
    """The containers of the `wanted` services; a database that would lose its data is refused."""
    # Of several replicas, one that is not healthy counts.
    listed = sorted(containers.containers(settings), key=lambda c: c.healthy, reverse=True)
    found = {c.service: c for c in listed if c.service in wanted}
    data_volume.refuse_anonymous_data(found.get("db"))
    return found


def _cause(stack: Stack, container: Container) -> Problem | None:
    """Why a service has failed; a database that repeats its log of changes has not."""
    with suppress(DatabaseStarts):
        cause = container_cause.problem_of(stack, container)
        return None if isinstance(cause, DatabaseStarts) else cause
    return None


def _refuse_failed(
    stack: Stack, found: Mapping[str, Container], late: Sequence[Container], started: float
) -> None:
    """Raise if one of the `late` services has failed, or has been waited for long enough."""
    for container in sorted(late, key=lambda container: container.service):
        if cause := _cause(stack, container):
            raise cause
    waited = time.monotonic() - started
    if waited > WAIT_SECONDS:
        raise container_cause.of_late(stack, found, late)
    if waited > CHECK_SECONDS and (cause := container_cause.overdue(stack, late)):
        raise cause
