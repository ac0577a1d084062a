"""How the services in containers come up: built and pulled, started, waited for, migrated."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from djup.checkout import fingerprint, web_env
from djup.docker import (
    base_images,
    containers,
    data_volume,
    endpoint,
    engine,
    resources,
    shared_folder,
)
from djup.docker.containers import Container
from djup.host import ports, process
from djup.postgres import remote
from djup.postgres.client import MAINTENANCE
from djup.problems import Problem
from djup.settings.settings import Settings
from djup.stack import compose, images, migrate
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
        _start(stack, listed, inputs)
    if not this_task.dry:
        _migrate(stack)
        _note_unhealthy(stack, listed)


def _migrate(stack: Stack) -> None:
    settings = stack.settings
    answer = _answer(stack)
    if not answer.ready and (lost := web_cause.lost_names(stack, answer)):
        console.say(f"{lost.what} They will be restarted.")
        again = ["--detach", "--no-build", "--force-recreate"]
        argv = ["docker", "compose", "up", *again, *settings.services]
        process.attach(argv, env=web_env.compose_environment(settings), progress=True)
        _wait_until_healthy(stack)
        answer = _answer(stack)
    if not answer.ready:
        raise web_cause.of_running(stack, answer, stack.web_log() or "")
    readiness.refuse(answer)


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
    running = {c.service: c for c in listed if c.running}
    if set(running) != set(settings.services):
        return False
    web = running["web"]
    return (
        fingerprint.is_current(inputs, {c.service: c.config for c in running.values()})
        and web.inputs == image
        and web.image == images.web_image(settings)
    )


def _start(stack: Stack, listed: Sequence[Container], inputs: str) -> None:
    settings = stack.settings
    running = {c.service: c for c in listed if c.running}
    _refuse_unsuitable_engine()
    _refuse_taken_port(settings, running)
    stale = _prepare(stack, running)
    _refuse_left_behind(stack)
    _compose_up(settings, again=_lacks_names(stack, listed))
    if this_task.dry:
        return
    healthy = _wait_until_healthy(stack)
    if "db" in running and not settings.has_own_database:
        _stop_unused_database(settings)
    fingerprint.remember(inputs, {service: c.config for service, c in healthy.items()})
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


def _lacks_names(stack: Stack, listed: Sequence[Container]) -> bool:
    """Whether the web ended because it did not find by its name a db that runs: where that is lost,
    only new containers get one."""
    if not any(c.service == "db" and c.running for c in listed):
        return False
    web = next((c for c in listed if c.service == "web" and c.state in container_cause.DEAD), None)
    log = containers.last_lines(web, web_cause.LINES) if web else ""
    return web_cause.ended_without_names(stack, log)


def _compose_up(settings: Settings, *, again: bool) -> None:
    argv = ["docker", "compose", "up", "--detach", "--no-build"]
    argv += [*(["--force-recreate"] if again else []), *settings.services]
    code = process.attach(argv, env=web_env.compose_environment(settings), progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise _not_started(settings)


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


def _not_started(settings: Settings) -> Problem:
    if not containers.running(settings, "web") and not ports.port_is_free(settings.web_port):
        return ports.taken(settings.web_port)
    own = settings.has_own_database
    if own and (cause := base_images.of_architecture("POSTGRES_IMAGE", settings)):
        return cause
    # The reason is above, for a person to read; again for us, up to where nothing is started.
    argv = ["docker", "compose", "create", "--no-build", *settings.services]
    said = process.run(argv, env=web_env.compose_environment(settings)).err
    return engine.diagnose("docker compose up", said.strip() or "the reason is above")


def _wait_until_healthy(stack: Stack) -> dict[str, Container]:
    """Until each service is; `compose up --wait` sits on where one has died and another waits."""
    settings = stack.settings
    started = time.monotonic()
    told, progress = False, migrations.Progress()
    while True:
        services = _services(settings)
        late = [c for c in services.values() if "(healthy)" not in c.status]
        if len(services) == len(settings.services) and not late:
            return services
        if _is_slow(late, started) and progress.has_time(stack.web_log):
            late = [c for c in late if c.service != "web"]
        if late or len(services) < len(settings.services):
            _refuse_failed(stack, services, late, started)
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


def _services(settings: Settings) -> dict[str, Container]:
    """The containers of the stack's services; a database that would lose its data is refused."""
    listed = containers.containers(settings)
    services = {c.service: c for c in listed if c.service in settings.services}
    data_volume.refuse_anonymous_data(services.get("db"))
    return services


def _refuse_failed(
    stack: Stack, services: Mapping[str, Container], late: Sequence[Container], started: float
) -> None:
    """Raise if one of the `late` services has failed, or has been waited for long enough."""
    for container in sorted(late, key=lambda container: container.service):
        if cause := container_cause.problem_of(stack, container):
            raise cause
    waited = time.monotonic() - started
    if waited > WAIT_SECONDS:
        raise container_cause.of_late(stack, services, late)
    if waited > CHECK_SECONDS and (cause := container_cause.failing_check(stack, late)):
        raise cause
