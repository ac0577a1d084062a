"""The Docker runtime: the services of `compose/`, driven through `docker compose`."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from djup import ROOT
from djup.checkout import fingerprint, web_env
from djup.docker import containers, data_volume, engine, media_volume, resources
from djup.docker.containers import Container
from djup.host import ports, process, uploads
from djup.host.checkout_lock import one_at_a_time
from djup.host.process import ChildFailed, Result
from djup.host.volumes import Volume
from djup.postgres import libpq, remote
from djup.postgres.client import Client
from djup.problems import problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import (
    accounts,
    compose,
    docker_up,
    docker_uploads,
    images,
    migrate,
    services,
    volume_clusters,
)
from djup.stack.causes import db as db_cause
from djup.stack.causes import migrations, readiness
from djup.stack.causes import web as web_cause
from djup.stack.file_work import finish_swap, with_uploads
from djup.stack.status import ServiceStatus, Status
from djup.terminal import console
from djup.terminal.task import this_task

DATABASE_SECONDS = 60
KINDS = ("container", "volume", "network", "image")
MIGRATE_LOG = "/tmp/migrate.log"
# As the superuser that the entrypoint in compose/db.yaml noted when it made the cluster.
SUPERUSER = f"""\
cluster=$(cat {data_volume.DATA}/active 2>/dev/null || echo "$PG_MAJOR")
exec psql --no-psqlrc --quiet --no-align --tuples-only -v ON_ERROR_STOP=1 --dbname postgres \\
  --username "$(cat "{data_volume.DATA}/$cluster/superuser" 2>/dev/null || echo "$POSTGRES_USER")"
"""
RESOLVE = "import socket, sys; socket.getaddrinfo(sys.argv[1], None)"
# By the container's own address: on 127.0.0.1 the image asks for no password.
LOG_IN = 'exec psql --no-psqlrc --quiet --host "$(hostname)" --command "select 1"'


@dataclass(frozen=True)
class DockerStack:
    """The services of `compose/`, each in a container."""

    settings: Settings

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services in the compose files, sorted."""
        return tuple(services.of_compose(self.settings))

    def with_values(self, values: Mapping[str, str]) -> "DockerStack":
        """The stack as it would be with these values in `.env`, checked."""
        return DockerStack(self.settings.with_values(values))

    def up(self) -> None:
        """Build what is stale, start what does not run, wait until all is healthy and migrated."""
        with one_at_a_time("up"):
            docker_up.up(DockerStack(volume_clusters.finish_switch(self.settings)))
            finish_swap(self)

    def down(self) -> None:
        """Stop and remove the containers; the volumes, and with them all data, stay."""
        with one_at_a_time("down"):
            containers.containers(self.settings)  # refuses those of another checkout
            compose.step(self.settings, "down", "--remove-orphans")

    def build(self, use_cache: bool) -> None:
        """Build the web image, and drop the one that it takes the place of."""
        engine.refuse_unfit()
        with one_at_a_time("build"):
            images.build(
                self.settings,
                use_cache,
                old_serves=containers.running(self.settings, "web") is not None,
            )
            images.drop_replaced(self.settings)

    def manage(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run `manage.py` in the web container, with these `variables` besides."""
        _in_service(self.settings, "web", ["python", "manage.py", *arguments], variables or {})

    def ask_manage(self, arguments: Sequence[str]) -> Result:
        """What `manage.py` answers, captured."""
        argv = ["python", "manage.py", *arguments]
        if web := containers.running(self.settings, "web"):
            return process.run(compose.inside(web, argv, terminal=[]))
        flags = ["--rm", "--no-deps", "--no-TTY", "--entrypoint", "", "web"]
        environment = web_env.compose_environment(self.settings)
        return process.run(["docker", "compose", "run", *flags, *argv], env=environment)

    def migrate(self, arguments: Sequence[str]) -> None:
        """Run `manage.py migrate`, and fetch the whole traceback of one that fails."""
        web = containers.running(self.settings, "web")  # a container of its own is gone by then
        where = MIGRATE_LOG if web else migrate.ON_STDERR
        try:
            self.manage(["migrate", *arguments], {migrate.LOG_KEY: where})
        except ChildFailed as failed:
            if web and failed.code == migrations.FAILED:
                migrate.keep(process.run(["docker", "exec", web.name, "cat", MIGRATE_LOG]).out)
            raise

    def shell(self, service: str, arguments: Sequence[str]) -> None:
        """A shell in the container of `service`: ash or, where the image has none, bash or sh."""
        _in_service(self.settings, service, containers.shell(arguments), {})

    def psql(self, arguments: Sequence[str]) -> None:
        """psql on the project's database as its own user."""
        if not self.settings.has_own_database:
            self.remote_programs().psql(arguments)
            return
        whom = _whom(self.settings)
        process.attach_or_fail(
            compose.inside(compose.running(self.settings, "db"), ["psql", *arguments], whom)
        )

    def start_database(self) -> None:
        """Have the database run, without the web, and wait until its superuser gets in."""
        if containers.running(self.settings, "db") is None:
            volume = data_volume.name_of(self.settings)
            data_volume.claim(self.settings, resources.inspect(volume).get(volume))
            compose.step(self.settings, "up", "--detach", "db")
        deadline = time.monotonic() + DATABASE_SECONDS
        while not this_task.dry and not _lets_superuser_in(self.settings):
            db = compose.find(self.settings, "db")
            if db is None or not db.running or time.monotonic() > deadline:
                raise (
                    db_cause.problem_of(self.settings, db) if db else problem("RUN01", service="db")
                )
            time.sleep(0.2)

    def superuser(self, script: str) -> Result:
        """Run a psql script past every password, on the socket within the container, captured.

        The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
        """
        return _ask(self.settings, script)

    def client(self) -> AbstractContextManager[Client]:
        """PostgreSQL's programs, which find the project's database."""
        own = self.settings.has_own_database
        programs = self._beside_db() if own else self.remote_programs().client()
        return with_uploads(programs, docker_uploads.of(self.settings))

    @contextmanager
    def _beside_db(self) -> Iterator[Client]:
        """Lend the programs in the db's container; a db that does not run is started, and stopped
        after."""
        ran_before = db = containers.running(self.settings, "db")
        if db is None or "(healthy)" not in db.status:
            self.start_database()
            db = None if this_task.dry else compose.running(self.settings, "db")
        try:
            yield _client(self.settings, db.name if db else f"{self.settings.project}-db-1")
        finally:
            if ran_before is None:
                argv = ["docker", "compose", "rm", "--stop", "--force", "db"]
                process.attach(argv, env=web_env.compose_environment(self.settings), progress=True)

    def logs_in(self) -> bool:
        """Whether the database lets in who `.env` names, with the password from there."""
        password = libpq.variables(password=self.settings.values["SQL_PASSWORD"])
        whom = [*_whom(self.settings), *password]
        argv = compose.inside(
            compose.running(self.settings, "db"), ["sh", "-c", LOG_IN], whom, terminal=[]
        )
        return not process.run(argv, env=os.environ | password).code

    def logs(self, service: str, follow: bool, lines: str) -> None:
        """The services' own output, the last `lines` of each."""
        chosen = [services.named(service, self.services)] if service else []
        compose.run(
            self.settings, "logs", f"--tail={lines}", *(["--follow"] if follow else []), *chosen
        )

    def compose(self, arguments: Sequence[str]) -> None:
        """`docker compose` itself, with `.env` winning as in every task."""
        compose.run(self.settings, *arguments)

    def mail_folder(self) -> Path | None:
        """None: mails go to the log, or to the service `mail`."""
        return None

    def mail_page(self) -> str:
        """The URL of the service `mail`; '' where it is not on."""
        is_on = "mail" in layout().services
        return f"http://127.0.0.1:{self.settings.values['MAIL_PORT']}/" if is_on else ""

    def volumes(self) -> list[Volume]:
        """This project's volumes."""
        return resources.volumes(self.settings)

    def status(self) -> Status:
        """What runs, in which state, from which image; whether it is ready, by asking the web."""
        listed = {c.service: c for c in containers.containers(self.settings)}
        found = [_service_status(self.settings, name, listed.get(name)) for name in self.services]
        web = listed.get("web")
        answer = readiness.NOT_RUNNING
        if web and web.running:
            served = web.publishes(self.settings.web_port)
            answer = readiness.ask(self.settings) if served else readiness.ON_ANOTHER_PORT
        volumes = _volume_in_use(self.settings, listed.get("db")) or self.volumes()
        edited = is_edited(self.settings, listed)
        status = Status.assemble(self.settings, answer, edited, found, volumes)
        return replace(status, mail=self.mail_page())

    def inventory(self) -> list[tuple[str, str, str]]:
        """All that is this project's alone: kind, name, and of volumes the size."""
        containers.containers(self.settings)  # refuses those of another checkout
        names_by_kind = _inventory(self.settings)
        names = names_by_kind.get("volume", [])
        volumes_there = resources.inspect(*names) if names else {}
        data_volume.refuse_of_another(self.settings, volumes_there)
        sizes = {v.name: v.size for v in resources.volumes(self.settings)}
        return [
            (kind, name, sizes.get(name, ""))
            for kind, names in names_by_kind.items()
            for name in names
        ]

    def has_data(self) -> bool:
        """Whether there is a volume for a database to be in."""
        return self.settings.has_own_database and bool(
            resources.inspect(data_volume.name_of(self.settings))
        )

    def remove_all(self) -> None:
        """Remove all that the inventory lists."""
        _remove(_inventory(self.settings))

    def data_that_stay(self) -> list[str]:
        """What the embedded runtime has of this checkout, and a volume that no service uses now."""
        folder = ROOT / ".data"
        unused = (
            _unused_media(self.settings)
            if self.settings.has_own_database
            else resources.names_of("volume", self.settings)
        )
        return [*([str(folder)] if folder.exists() else []), *unused]

    def remote_programs(self) -> remote.InContainer:
        """PostgreSQL's programs for a database elsewhere, on the network of the services."""
        return remote.InContainer(self.settings)

    def can_be_stopped(self) -> bool:
        """Whether the engine answers."""
        return engine.answers()

    def web_uid(self) -> int | None:
        """The user that the web's container runs as."""
        return int(self.settings.values["APP_UID"])

    def is_web_itself(self, host: str) -> bool:
        """Whether this host is, to the web, its own container."""
        return host in ports.LOOPBACK

    def finds_database(self) -> bool:
        """Whether the db's name leads the web to it, asked from within; True where one of them
        does not run."""
        web, db = (containers.running(self.settings, name) for name in ("web", "db"))
        if web is None or db is None:
            return True
        argv = ["docker", "exec", web.name, "python", "-c", RESOLVE, db.service]
        return not process.run(argv).code

    def fixed_version(self) -> str:
        """None: POSTGRES_IMAGE chooses the version."""
        return ""

    def clusters(self) -> volume_clusters.Held | None:
        """The clusters of the volume; None where there is no volume."""
        there = volume_clusters.is_there(self.settings)
        return volume_clusters.survey(self.settings) if there else None

    def is_served(self) -> bool:
        """Whether WEB_PORT is this stack's web's."""
        web = containers.running(self.settings, "web")
        return web is not None and web.publishes(self.settings.web_port)

    def web_log(self) -> str | None:
        """The end of a running web's log; None where none runs."""
        web = containers.running(self.settings, "web")
        return containers.last_lines(web, web_cause.LINES) if web else None


def _lets_superuser_in(settings: Settings) -> bool:
    # Over TCP: the server that initialises a volume listens on its socket alone, and then ends.
    over = ["PGHOST=127.0.0.1"]
    return bool(containers.running(settings, "db")) and not _ask(settings, "select 1", over).code


def _ask(settings: Settings, script: str, variables: Sequence[str] = ()) -> Result:
    names = ("SQL_USER", "SQL_PASSWORD", "SQL_DATABASE")
    values = {name: settings.values[name] for name in names}
    argv = compose.inside(
        compose.running(settings, "db"),
        ["sh", "-c", SUPERUSER],
        [*names, *variables],
        terminal=["--interactive"],
    )
    return process.run(argv, env=os.environ | values, stdin=script)


def _whom(settings: Settings) -> list[str]:
    """Of the project's own user, the variables that may stand in argv."""
    values = settings.values
    variables = libpq.variables(user=values["SQL_USER"], database=values["SQL_DATABASE"])
    return [f"{name}={value}" for name, value in variables.items()]


def _client(settings: Settings, container: str) -> Client:
    values = settings.values
    variables = libpq.variables(
        user=values["SQL_USER"],
        database=values["SQL_DATABASE"],
        program=f"inv {settings.project}",  # for a later task to know
    )
    return Client(
        settings.project, container, "", variables, data=data_volume.DATA, compression="zstd:2"
    )


def is_edited(settings: Settings, listed: Mapping[str, Container]) -> bool:
    """Whether the whole stack runs, but not as its files say now."""
    inputs = fingerprint.stack_inputs(settings, fingerprint.image_inputs(settings))
    wanted = services.of_compose(settings)
    configs = docker_up.configs(wanted, listed.values())
    is_current = fingerprint.is_current(inputs, configs)
    return docker_up.settled(wanted, listed.values()) and not is_current


def _volume_in_use(settings: Settings, db: Container | None) -> list[Volume]:
    """The volume with its size as the db sees it: the engine would count all that it holds."""
    if db is None or not db.running:
        return []
    name = data_volume.name_of(settings)
    inspected = resources.inspect(name).get(name)
    counted = process.run(
        compose.inside(db, ["du", "-sk", data_volume.DATA], terminal=[])
    ).out.split()
    if inspected is None or not counted:
        return []
    size = f"{int(counted[0]) / 1000:.1f}MB"
    return [Volume(name, size, inspected["CreatedAt"], [db.name]), *_media_in_use(settings)]


def _media_in_use(settings: Settings) -> list[Volume]:
    """The volume of the uploads, with its size as the web sees it."""
    name = media_volume.name_of(settings)
    inspected = resources.inspect(name).get(name)
    if inspected is None or not layout().media:
        return []
    web = containers.running(settings, "web")
    argv = compose.inside(web, ["du", "-sk", uploads.MEDIA], terminal=[]) if web else []
    counted = process.run(argv).out.split() if argv else []
    size = f"{int(counted[0]) / 1000:.1f}MB" if counted else ""
    return [Volume(name, size, inspected["CreatedAt"], [web.name] if web else [])]


# nuke


def _inventory(settings: Settings) -> dict[str, list[str]]:
    # A volume that no service uses now was not backed up: it stays.
    kinds = [kind for kind in KINDS if kind != "volume" or settings.has_own_database]
    found = {kind: resources.names_of(kind, settings) for kind in kinds}
    stay = _unused_media(settings)
    doomed = {kind: [name for name in names if name not in stay] for kind, names in found.items()}
    if "volume" in doomed:
        doomed["volume"] += _without_name(found["container"])
    return doomed


def _without_name(containers: Sequence[str]) -> list[str]:
    """The volumes that the engine made for containers alone, which nobody finds without these. One
    that the database has is a mistake to be looked at (DB07), and stays."""
    there = resources.inspect(*containers).values()
    return sorted(
        mount["Name"]
        for container in there
        if resources.label(container, resources.SERVICE) != "db"
        for mount in container.get("Mounts") or ()
        if resources.is_anonymous(mount.get("Name", ""))
    )


def _unused_media(settings: Settings) -> list[str]:
    """The volume of uploads where no backup would have it: the tasks know of no uploads any more,
    or there is no database to back up."""
    media, database = media_volume.name_of(settings), data_volume.name_of(settings)
    there = resources.inspect(media, database)
    return [media] if media in there and not (layout().media and database in there) else []


def _remove(doomed: dict[str, list[str]]) -> None:
    for kind, names in doomed.items():
        if names:
            force = ["--force"] if kind == "container" else []
            process.attach(["docker", kind, "rm", *force, *names], progress=True)
        if this_task.interrupted:  # whoever stops it now wants the rest to stay
            raise KeyboardInterrupt


def _in_service(
    settings: Settings, service: str, argv: Sequence[str], variables: Mapping[str, str]
) -> None:
    """In the running container; where the web has died, in a new one that is removed after."""
    services.named(service, services.of_compose(settings))
    container = containers.running(settings, service)
    if container:
        accounts.settle(DockerStack(settings))
        if service == "web":  # what it was made with may be the password before
            variables = {**variables, "SQL_PASSWORD": settings.values["SQL_PASSWORD"]}
        named = compose.inside(container, argv, list(variables))
        process.attach_or_fail(named, env={**os.environ, **variables})
    elif service == "web" and containers.containers(settings):
        console.say("the web is not running: using a separate container")
        terminal = [] if process.on_a_terminal() else ["--no-TTY"]
        flags = ["--rm", "--no-deps", *terminal, *engine.env_words(variables)]
        compose.run(settings, "run", *flags, "web", *argv, variables=variables)
    else:
        raise problem("RUN01", service=service)


def _service_status(settings: Settings, name: str, container: Container | None) -> ServiceStatus:
    if container is None:
        return ServiceStatus(name, "absent", "not started", "")
    # Those that are made of the web's image have its label.
    fresh = container.inputs in ("", fingerprint.image_inputs(settings))
    return ServiceStatus(name, container.state, container.status, "fresh" if fresh else "stale")
