"""The Docker runtime: the services of `compose/`, driven through `docker compose`."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from djup import ROOT
from djup.checkout import fingerprint, web_env
from djup.docker import data_volume, engine, shared_folder
from djup.docker.engine import Container
from djup.host import ports, process
from djup.host.checkout_lock import one_at_a_time
from djup.host.process import ChildFailed, Result
from djup.host.volumes import Volume
from djup.postgres import remote
from djup.postgres.client import MAINTENANCE, Client
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack import accounts, images, readiness, volume_clusters
from djup.stack.causes import check, migrations
from djup.stack.causes import db as db_cause
from djup.stack.causes import web as web_cause
from djup.stack.readiness import Readiness
from djup.stack.status import ServiceStatus, Status
from djup.terminal import console
from djup.terminal.task import this_task

WAIT_SECONDS = 180
DATABASE_SECONDS = 60
POLL_SECONDS = 1.0
REMOVAL_SECONDS = 20
TELL_SECONDS = 10
CHECK_SECONDS = 15  # until a service that answers is to be healthy as well
KINDS = ("container", "volume", "network", "image")
DEAD = ("exited", "dead")
MADE_WITH = {
    "POSTGRES_USER": "SQL_USER",
    "POSTGRES_PASSWORD": "SQL_PASSWORD",
    "POSTGRES_DB": "SQL_DATABASE",
}
SHELL = 'exec $(command -v ash || command -v bash || command -v sh) "$@"'
MIGRATE = ("python", "manage.py", "migrate", "--no-input")
MIGRATE_LOG = "/tmp/migrate.log"
WHOLE_ON_STDERR = f"{migrations.LOG_KEY}={migrations.ON_STDERR}"
# As the superuser that the entrypoint in compose/db.yaml noted when it made the cluster.
SUPERUSER = f"""\
cluster=$(cat {data_volume.DATA}/active 2>/dev/null || echo "$PG_MAJOR")
exec psql --no-psqlrc --quiet --no-align --tuples-only -v ON_ERROR_STOP=1 --dbname postgres \\
  --username "$(cat "{data_volume.DATA}/$cluster/superuser" 2>/dev/null || echo "$POSTGRES_USER")"
"""
# By the container's own address: on 127.0.0.1 the image asks for no password.
LOG_IN = 'exec psql --no-psqlrc --quiet --host "$(hostname)" --command "select 1"'


@dataclass(frozen=True)
class DockerStack:
    """The services of `compose/`, each in a container."""

    settings: Settings

    def with_values(self, values: Mapping[str, str]) -> "DockerStack":
        """The stack as it would be with these values in `.env`, checked."""
        return DockerStack(self.settings.with_values(values))

    def up(self) -> None:
        """Build what is stale, start what does not run, wait until all is healthy and migrated."""
        with one_at_a_time("up"):
            settings = volume_clusters.finish_switch(self.settings)
            found = _after_removals(settings)
            inputs = fingerprint.stack_inputs(settings)
            if not _is_up(settings, found, inputs):
                _start(settings, found, inputs)
            if not this_task.dry:
                _migrate(settings)
                _note_unhealthy(settings, found)

    def down(self) -> None:
        """Stop and remove the containers; the volumes, and with them all data, stay."""
        with one_at_a_time("down"):
            engine.containers(self.settings)  # refuses those of another checkout
            _step(self.settings, "down", "--remove-orphans")

    def build(self, use_cache: bool) -> None:
        """Build the web image, and drop the one that it takes the place of."""
        engine.refuse_unfit()
        with one_at_a_time("build"):
            images.build(
                self.settings,
                use_cache,
                old_serves=engine.running(self.settings, "web") is not None,
            )
            images.drop_replaced(self.settings)

    def manage(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run `manage.py` in the web container, with these `variables` besides."""
        _in_service(self.settings, "web", ["python", "manage.py", *arguments], variables or {})

    def migrate(self, arguments: Sequence[str]) -> None:
        """Run `manage.py migrate`, and fetch the whole traceback of one that fails."""
        web = engine.running(self.settings, "web")  # a container of its own is gone by then
        where = MIGRATE_LOG if web else migrations.ON_STDERR
        try:
            self.manage(["migrate", *arguments], {migrations.LOG_KEY: where})
        except ChildFailed as failed:
            if web and failed.code == migrations.FAILED:
                migrations.keep(process.run(["docker", "exec", web.name, "cat", MIGRATE_LOG]).out)
            raise

    def shell(self, service: str, arguments: Sequence[str]) -> None:
        """A shell in the container of `service`: ash or, where the image has none, bash or sh."""
        _in_service(self.settings, service, ["sh", "-c", SHELL, "sh", *arguments], {})

    def psql(self, arguments: Sequence[str]) -> None:
        """psql on the project's database as its own user."""
        if not self.settings.has_own_database:
            remote.psql(self.settings, arguments)
            return
        values = self.settings.values
        whom = [f"PGUSER={values['SQL_USER']}", f"PGDATABASE={values['SQL_DATABASE']}"]
        process.attach_or_fail(_exec(_running(self.settings, "db"), ["psql", *arguments], whom))

    def start_database(self) -> None:
        """Have the database run, without the web, and wait until its superuser gets in."""
        if engine.running(self.settings, "db") is None:
            volume = data_volume.name_of(self.settings)
            data_volume.claim(self.settings, engine.inspect(volume).get(volume))
            _step(self.settings, "up", "--detach", "db")
        deadline = time.monotonic() + DATABASE_SECONDS
        while not this_task.dry and not _lets_superuser_in(self.settings):
            db = _container(self.settings, "db")
            if db is None or not db.running or time.monotonic() > deadline:
                raise db_cause.of(self.settings, db) if db else problem("RUN01", service="db")
            time.sleep(0.2)

    def superuser(self, script: str) -> Result:
        """Run a psql script past every password, on the socket within the container, captured.

        The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
        """
        return _ask(self.settings, script)

    def client(self) -> AbstractContextManager[Client]:
        """PostgreSQL's programs, which find the project's database."""
        return self._beside_db() if self.settings.has_own_database else remote.client(self.settings)

    @contextmanager
    def _beside_db(self) -> Iterator[Client]:
        """Those in the db's container: where it does not run, it is started, and stopped after."""
        found = db = engine.running(self.settings, "db")
        if db is None or "(healthy)" not in db.status:
            self.start_database()
            db = None if this_task.dry else _running(self.settings, "db")
        try:
            yield _client(self.settings, db.name if db else f"{self.settings.project}-db-1")
        finally:
            if found is None:
                argv = ["docker", "compose", "rm", "--stop", "--force", "db"]
                process.attach(argv, env=web_env.compose_environment(self.settings), progress=True)

    def logs_in(self) -> bool:
        """Whether the database lets in who `.env` names, with the password from there."""
        values = self.settings.values
        whom = [
            f"PGUSER={values['SQL_USER']}",
            f"PGDATABASE={values['SQL_DATABASE']}",
            "PGPASSWORD",
        ]
        argv = _exec(_running(self.settings, "db"), ["sh", "-c", LOG_IN], whom, terminal=[])
        return not process.run(argv, env=os.environ | {"PGPASSWORD": values["SQL_PASSWORD"]}).code

    def logs(self, service: str, follow: bool, lines: str) -> None:
        """The services' own output, the last `lines` of each."""
        chosen = [self.settings.service(service)] if service else []
        _compose(
            self.settings, "logs", f"--tail={lines}", *(["--follow"] if follow else []), *chosen
        )

    def compose(self, arguments: Sequence[str]) -> None:
        """`docker compose` itself, with `.env` winning as in every task."""
        _compose(self.settings, *arguments)

    def volumes(self) -> list[Volume]:
        """This project's volumes."""
        return engine.volumes(self.settings)

    def status(self) -> Status:
        """What runs, in which state, from which image; whether it is ready, by asking the web."""
        found = {c.service: c for c in engine.containers(self.settings)}
        services = [
            _service_status(self.settings, name, found.get(name)) for name in self.settings.services
        ]
        web = found.get("web")
        answer = readiness.NOT_RUNNING
        if web and web.running:
            served = web.publishes(self.settings.web_port)
            answer = readiness.ask(self.settings) if served else readiness.ON_ANOTHER_PORT
        held = _volume_in_use(self.settings, found.get("db")) or engine.volumes(self.settings)
        return Status.of(self.settings, answer, is_edited(self.settings, found), services, held)

    def inventory(self) -> list[tuple[str, str, str]]:
        """All that is this project's alone: kind, name, and of volumes the size."""
        engine.containers(self.settings)  # refuses those of another checkout
        found = _inventory(self.settings)
        names = found.get("volume", [])
        volumes_there = engine.inspect(*names) if names else {}
        data_volume.refuse_of_another(self.settings, volumes_there)
        sizes = {v.name: v.size for v in engine.volumes(self.settings)}
        return [
            (kind, name, sizes.get(name, "")) for kind, names in found.items() for name in names
        ]

    def has_data(self) -> bool:
        """Whether there is a volume for a database to be in."""
        return self.settings.has_own_database and bool(
            engine.inspect(data_volume.name_of(self.settings))
        )

    def remove_all(self) -> None:
        """Remove all that the inventory lists."""
        _remove(_inventory(self.settings))

    def data_that_stay(self) -> list[str]:
        """What the embedded runtime has of this checkout, and a volume that no service uses now."""
        folder = ROOT / ".data"
        unused = [] if self.settings.has_own_database else engine.names_of("volume", self.settings)
        return [*([str(folder)] if folder.exists() else []), *unused]

    def is_served(self) -> bool:
        """Whether it is our web that has WEB_PORT."""
        web = engine.running(self.settings, "web")
        return web is not None and web.publishes(self.settings.web_port)

    def web_log(self) -> str | None:
        """The end of a running web's log; None where none runs."""
        web = engine.running(self.settings, "web")
        return engine.last_lines(web, web_cause.LINES) if web else None


def _lets_superuser_in(settings: Settings) -> bool:
    # Over TCP: the server that initialises a volume listens on its socket alone, and then ends.
    over = ["PGHOST=127.0.0.1"]
    return bool(engine.running(settings, "db")) and not _ask(settings, "select 1", over).code


def _ask(settings: Settings, script: str, variables: Sequence[str] = ()) -> Result:
    names = ("SQL_USER", "SQL_PASSWORD", "SQL_DATABASE")
    values = {name: settings.values[name] for name in names}
    argv = _exec(
        _running(settings, "db"),
        ["sh", "-c", SUPERUSER],
        [*names, *variables],
        terminal=["--interactive"],
    )
    return process.run(argv, env=os.environ | values, stdin=script)


def _client(settings: Settings, container: str) -> Client:
    values = settings.values
    variables = {
        "PGUSER": values["SQL_USER"],
        "PGDATABASE": values["SQL_DATABASE"],
        "PGAPPNAME": f"inv {settings.project}",  # for a later task to know
    }
    return Client(container, "", variables, data=data_volume.DATA, compression="zstd:2")


def is_edited(settings: Settings, found: Mapping[str, Container]) -> bool:
    """Whether the whole stack runs, but not as its files say now."""
    running = {name: c.config for name, c in found.items() if c.running}
    inputs = fingerprint.stack_inputs(settings)
    return set(running) == set(settings.services) and not fingerprint.is_current(inputs, running)


def _volume_in_use(settings: Settings, db: Container | None) -> list[Volume]:
    """The volume with its size as the db sees it: the engine would count all that it holds."""
    if db is None or not db.running:
        return []
    name = data_volume.name_of(settings)
    found = engine.inspect(name).get(name)
    counted = process.run(_exec(db, ["du", "-sk", data_volume.DATA], terminal=[])).out.split()
    if found is None or not counted:
        return []
    return [Volume(name, f"{int(counted[0]) / 1000:.1f}MB", found["CreatedAt"], [db.name])]


# up


def _migrate(settings: Settings) -> None:
    answer = _answer(settings)
    if not answer.ready and (lost := web_cause.lost_names(settings, answer)):
        console.say(f"{lost.what} They are started again.")
        again = ["--detach", "--no-build", "--force-recreate"]
        argv = ["docker", "compose", "up", *again, *settings.services]
        process.attach(argv, env=web_env.compose_environment(settings), progress=True)
        _wait_until_healthy(settings)
        answer = _answer(settings)
    if not answer.ready:
        stack = DockerStack(settings)
        raise web_cause.of_running(stack, answer, stack.web_log() or "")
    readiness.refuse(settings, answer)


def _answer(settings: Settings) -> Readiness:
    """What the web says, after the migrations added since its start."""
    return readiness.migrated(
        settings,
        lambda: web_cause.migrate(
            _exec(_running(settings, "web"), MIGRATE, [WHOLE_ON_STDERR], terminal=[])
        ),
        lambda: web_cause.waits_for_an_edit(DockerStack(settings).web_log() or ""),
    )


def _note_unhealthy(settings: Settings, found: Sequence[Container]) -> None:
    """Say which services that ran before docker calls unhealthy, though the page is served."""
    for container in found:
        sick = container.running and "(unhealthy)" in container.status
        if sick and (cause := cause_of(settings, container)):
            console.say(cause.as_note())


def _after_removals(settings: Settings) -> list[Container]:
    """The containers, when none is on its way out: a task that was killed leaves that to the
    engine."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while True:
        found = engine.containers(settings)
        if time.monotonic() > deadline or not any(c.state == "removing" for c in found):
            return found
        time.sleep(POLL_SECONDS)


def _is_up(settings: Settings, found: Sequence[Container], inputs: str) -> bool:
    running = {c.service: c for c in found if c.running}
    if set(running) != set(settings.services):
        return False
    web = running["web"]
    return (
        fingerprint.is_current(inputs, {c.service: c.config for c in running.values()})
        and web.inputs == fingerprint.image_inputs(settings)
        and web.image == images.web_image(settings)
    )


def _start(settings: Settings, found: Sequence[Container], inputs: str) -> None:
    _refuse_engine_elsewhere()
    engine.refuse_unfit()
    running = {c.service: c for c in found if c.running}
    if "web" not in running or not running["web"].publishes(settings.web_port):
        ports.refuse_taken(settings.web_port)
    stale = _prepare(settings, running)
    _refuse_left_behind(settings)
    argv = ["docker", "compose", "up", "--detach", "--no-build", *settings.services]
    code = process.attach(argv, env=web_env.compose_environment(settings), progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise _not_started(settings)
    if this_task.dry:
        return
    healthy = _wait_until_healthy(settings)
    if "db" in running and not settings.has_own_database:
        console.say("the stack's own database is not used now: it stops, and its volume stays")
        argv = ["docker", "compose", "rm", "--stop", "--force", "db"]
        process.attach(argv, env=web_env.compose_environment(settings), progress=True)
    fingerprint.remember(inputs, {service: c.config for service, c in healthy.items()})
    if stale:
        images.drop_replaced(settings)


def _prepare(settings: Settings, running: Mapping[str, Container]) -> bool:
    """What the containers need: images, and a volume that is ours; whether the web's was built."""
    remote.refuse_missing_certificates(settings)
    db = running["db"].name if "db" in running else ""
    web, base, postgres = images.web_image(settings), "PYTHON_IMAGE", "POSTGRES_IMAGE"
    volume = data_volume.name_of(settings)
    names = (web, settings.values[postgres], settings.values[base], volume, *([db] if db else []))
    there = engine.inspect(*names)
    stale = not images.is_fresh(settings, there.get(web))
    for key, needed in ((postgres, settings.has_own_database), (base, stale)):
        if needed and settings.values[key] not in there:
            images.pull(settings, key)
    if "web" not in running:
        shared_folder.refuse_unseen(settings, settings.values[base] if stale else web)
    if settings.has_own_database:
        data_volume.claim(settings, there.get(volume))
        if db in there:
            refuse_misfit(settings, there[db], there.get(settings.values[postgres]))
    if stale:
        images.build(settings, use_cache=True, old_serves="web" in running)
    return stale


def refuse_misfit(settings: Settings, db: dict[str, Any], image: dict[str, Any] | None) -> None:
    """While the database still runs as it was: what it would not come up with, or not let in."""
    made_with, offered = engine.environment(db), engine.environment(image)
    major = made_with.get("PG_MAJOR", "")
    if offered.get("PG_MAJOR", major) != major:
        wanted, before = settings.values["POSTGRES_IMAGE"], db["Config"]["Image"]
        raise db_cause.other_version(major, wanted, offered["PG_MAJOR"], before)
    given = {name: settings.values[key] for name, key in MADE_WITH.items()}
    changed = any(made_with.get(name) != value for name, value in given.items())
    if changed and not this_task.dry and (cause := accounts.misfit(DockerStack(settings))):
        raise cause


def _refuse_engine_elsewhere() -> None:
    chosen_by, host = engine.endpoint()
    if engine.is_elsewhere(host):
        raise engine.elsewhere(chosen_by, host)


def _refuse_left_behind(settings: Settings) -> None:
    """Before the web fills a database that every server has, and that is not the one of before."""
    named = settings.values["SQL_DATABASE"] == MAINTENANCE
    if named and settings.has_own_database and not this_task.dry:
        DockerStack(settings).start_database()
        if cause := accounts.left_behind(DockerStack(settings)):
            raise cause


def _not_started(settings: Settings) -> Problem:
    if not engine.running(settings, "web") and not ports.port_is_free(settings.web_port):
        return ports.taken(settings.web_port)
    own = settings.has_own_database
    if own and (cause := images.of_architecture("POSTGRES_IMAGE", settings)):
        return cause
    # The reason stands above, for a person to read; again for us, up to where nothing is started.
    argv = ["docker", "compose", "create", "--no-build", *settings.services]
    said = process.run(argv, env=web_env.compose_environment(settings)).err
    return engine.diagnose("docker compose up", said.strip() or "the reason stands above")


def _wait_until_healthy(settings: Settings) -> dict[str, Container]:
    """Until each service is; `compose up --wait` sits on where one has died and another waits."""
    started = time.monotonic()
    told = False
    while True:
        found = {
            c.service: c for c in engine.containers(settings) if c.service in settings.services
        }
        data_volume.refuse_anonymous_data(found.get("db"))
        late = [c for c in found.values() if "(healthy)" not in c.status]
        if len(found) == len(settings.services) and not late:
            return found
        for container in sorted(late, key=lambda container: container.service):
            if cause := cause_of(settings, container):
                raise cause
        waited = time.monotonic() - started
        if waited > WAIT_SECONDS:
            raise _late(settings, found, late)
        if waited > CHECK_SECONDS and (cause := _failing_check(settings, late)):
            raise cause
        if waited > TELL_SECONDS and not told:
            waits_for = ", ".join(f"{c.service} ({c.status})" for c in late)
            console.say(f"still waiting for {waits_for}; inv logs shows what it does")
            told = True
        # To ask the engine costs what the starting services could use; to ask the web does not.
        readiness.wait(settings, POLL_SECONDS)


def cause_of(settings: Settings, container: Container) -> Problem | None:
    """Why a service has failed; None for one that may still get ready."""
    if container.state in DEAD:
        return _cause_of_death(settings, container)
    if "(unhealthy)" not in container.status:
        return None
    if container.service == "db":  # once it fits .env, its next health check will see so
        return accounts.misfit(DockerStack(settings)) or check.of(container)
    if container.service != "web":
        return check.of(container)
    answer = readiness.ask(settings)  # its health check may lag behind
    if answer.ready:
        return check.of(container)
    stack = DockerStack(settings)
    return web_cause.of_running(stack, answer, stack.web_log() or "")


def _failing_check(settings: Settings, late: Sequence[Container]) -> Problem | None:
    """Of a web that answers, and yet does not get healthy."""
    web = next((one for one in late if one.service == "web" and one.running), None)
    if web is None or not readiness.ask(settings).ready:
        return None
    return check.of(web, patience=TELL_SECONDS)


def _cause_of_death(settings: Settings, container: Container) -> Problem:
    if container.service == "db":
        return db_cause.of(settings, container)
    log = engine.last_lines(container, web_cause.LINES)
    return web_cause.of(DockerStack(settings), log, container.status)


def _late(settings: Settings, found: Mapping[str, Container], late: Sequence[Container]) -> Problem:
    if not late:  # removed meanwhile, by somebody else
        return problem("RUN01", service=next(n for n in settings.services if n not in found))
    first = min(late, key=lambda container: container.service)
    cause = _cause_of_death(settings, first)
    if cause.code == "WEB01":
        said = check.last_said(engine.inspect(first.name).get(first.name, {}))
        cause.evidence = "\n".join(filter(None, (cause.evidence, said)))
    return cause


# nuke


def _inventory(settings: Settings) -> dict[str, list[str]]:
    # A volume that no service uses now was not backed up: it stays.
    kinds = [kind for kind in KINDS if kind != "volume" or settings.has_own_database]
    return {kind: engine.names_of(kind, settings) for kind in kinds}


def _remove(doomed: dict[str, list[str]]) -> None:
    for kind, names in doomed.items():
        if names:
            force = ["--force"] if kind == "container" else []
            process.attach(["docker", kind, "rm", *force, *names], progress=True)
        if this_task.interrupted:  # whoever stops it now wants the rest to stay
            raise KeyboardInterrupt


# Commands


def _in_service(
    settings: Settings, service: str, argv: Sequence[str], variables: Mapping[str, str]
) -> None:
    """In the running container; where the web has died, in a new one that is removed after."""
    settings.service(service)
    container = engine.running(settings, service)
    if container:
        accounts.settle(DockerStack(settings))
        if service == "web":  # what it was made with may be the password before
            variables = {**variables, "SQL_PASSWORD": settings.values["SQL_PASSWORD"]}
        named = _exec(container, argv, list(variables))
        process.attach_or_fail(named, env={**os.environ, **variables})
    elif service == "web" and engine.containers(settings):
        console.say("the web is not running: this runs in a container of its own")
        terminal = [] if process.on_a_terminal() else ["--no-TTY"]
        flags = ["--rm", "--no-deps", *terminal, *engine.env_words(variables)]
        _compose(settings, "run", *flags, "web", *argv, variables=variables)
    else:
        raise problem("RUN01", service=service)


def _exec(
    container: Container,
    argv: Sequence[str],
    env: Sequence[str] = (),
    terminal: Sequence[str] | None = None,
) -> list[str]:
    flags = engine.terminal_words() if terminal is None else terminal
    return ["docker", "exec", *flags, *engine.env_words(env), container.name, *argv]


def _running(settings: Settings, service: str) -> Container:
    container = engine.running(settings, service)
    if container is None:
        raise problem("RUN01", service=service)
    return container


def _container(settings: Settings, service: str) -> Container | None:
    return next((c for c in engine.containers(settings) if c.service == service), None)


def _compose(
    settings: Settings, *arguments: str, variables: Mapping[str, str] | None = None
) -> None:
    argv = ["docker", "compose", *arguments]
    code = process.attach(argv, env=web_env.compose_environment(settings) | dict(variables or {}))
    if code and not engine.engine_answers():
        raise engine.diagnose("docker compose")
    if code:
        raise ChildFailed(code)


def _step(settings: Settings, *arguments: str) -> None:
    """A command of Compose that is a step of ours, rather than the user's own."""
    try:
        _compose(settings, *arguments)
    except ChildFailed as failed:
        process.stop_if_interrupted(failed.code)
        raise


def _service_status(settings: Settings, name: str, found: Container | None) -> ServiceStatus:
    if found is None:
        return ServiceStatus(name, "absent", "not started", "")
    fresh = name != "web" or found.inputs == fingerprint.image_inputs(settings)
    return ServiceStatus(name, found.state, found.status, "fresh" if fresh else "stale")
