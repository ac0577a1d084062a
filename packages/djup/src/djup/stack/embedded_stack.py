"""The embedded runtime: no engine, no root. PostgreSQL from a wheel, Django's server beside it."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from djup import ROOT
from djup.checkout import fingerprint, web_env
from djup.checkout.create import project_name
from djup.docker import engine
from djup.host import ownership, packages, ports, process
from djup.host.background import Background, owner
from djup.host.checkout_lock import STATE, one_at_a_time
from djup.host.process import Result
from djup.host.volumes import Volume
from djup.postgres import local_server, remote
from djup.postgres.client import Client
from djup.postgres.local_server import Server
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack import accounts, readiness, strays
from djup.stack.causes import migrations
from djup.stack.causes import web as web_cause
from djup.stack.status import ServiceStatus, Status
from djup.terminal import console
from djup.terminal.task import this_task

HOME = ROOT / ".data"
PROJECT = ROOT / "project"
READY = STATE / "web.ready"
WEB = Background("web")
DB = Background("db")
KNOWN = (DB, WEB)
WEB_SECONDS = 120
MIGRATE = ("migrate", "--no-input")
PYTHON = str(packages.PYTHON)


@dataclass(frozen=True)
class EmbeddedStack:
    """PostgreSQL from a wheel, and Django's server beside it, as processes of this machine."""

    settings: Settings

    def with_values(self, values: Mapping[str, str]) -> "EmbeddedStack":
        """The stack as it would be with these values in `.env`, checked."""
        return EmbeddedStack(self.settings.with_values(values))

    def up(self) -> None:
        """Start what is not running, wait until the page answers and is migrated."""
        with one_at_a_time("up"):
            packages.ensure("embedded")
            inputs = fingerprint.embedded_inputs()
            if this_task.dry:
                _launch_web(self.settings)
            elif not _is_up(self.settings, inputs):
                _start(self.settings, inputs)
            if not this_task.dry:
                _migrate(self.settings)

    def down(self) -> None:
        """Stop web and database; the data folder stays."""
        with one_at_a_time("down"):
            _stop(self.settings)

    def build(self, use_cache: bool) -> None:
        """Nothing is built here: the packages are installed into .venv."""
        packages.ensure("embedded")
        console.say("the embedded runtime builds no image; its packages are installed")

    def manage(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run `manage.py` beside the database, in its folder, with these `variables` besides."""
        _need_database(self.settings)
        argv = [PYTHON, "manage.py", *arguments]
        environment = _environment(self.settings) | dict(variables or {})
        process.attach_or_fail(argv, cwd=PROJECT, env=environment)

    def migrate(self, arguments: Sequence[str]) -> None:
        """Run `manage.py migrate`, with the whole traceback of one that fails in a file."""
        self.manage(["migrate", *arguments], {migrations.LOG_KEY: str(migrations.LOG)})

    def shell(self, service: str, arguments: Sequence[str]) -> None:
        """The user's own shell in project/, with its environment and the server's tools on PATH."""
        self.settings.service(service)
        _need_database(self.settings)
        # The server's own know no TLS, which a database elsewhere asks for.
        tools = [str(server_of(self.settings).binaries)] if self.settings.has_own_database else []
        path = ":".join((str(packages.VENV / "bin"), *tools, os.environ.get("PATH", "")))
        environment = _environment(self.settings) | _connection(self.settings) | {"PATH": path}
        argv = [os.environ.get("SHELL") or "sh", *arguments]
        process.attach_or_fail(argv, cwd=PROJECT, env=environment)

    def psql(self, arguments: Sequence[str]) -> None:
        """psql on the project's database as its own user."""
        if not self.settings.has_own_database:
            remote.psql(self.settings, arguments)
            return
        _need_database(self.settings)
        environment = local_server.clean_environment() | _connection(self.settings)
        process.attach_or_fail(
            [local_server.psql(server_of(self.settings)), *arguments], env=environment
        )

    def start_database(self) -> None:
        """Have the database run, without the web."""
        packages.ensure("embedded")
        if this_task.dry:
            return
        home = home_of(self.settings)
        if home != HOME and not home.exists():
            console.say(f"{local_server.ACCOUNT} cannot enter this folder: the data go to {home}")
        refuse_lost(self.settings)
        local_server.start(server_of(self.settings))

    def superuser(self, script: str) -> Result:
        """Run a psql script past every password, on the socket, captured.

        The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
        """
        if DB.pid() is None:
            raise problem("RUN01", service="db")
        return local_server.superuser(server_of(self.settings), script, _environment(self.settings))

    def client(self) -> AbstractContextManager[Client]:
        """PostgreSQL's programs, which find the project's database."""
        return self._beside_db() if self.settings.has_own_database else remote.client(self.settings)

    @contextmanager
    def _beside_db(self) -> Iterator[Client]:
        """Those beside the server: where it does not run, it is started, and stopped after."""
        running = DB.pid()
        self.start_database()
        accounts.settle(self)
        _fit_database(self.settings)
        try:
            server = server_of(self.settings)
            folder, data = str(server.binaries), str(server.home)
            variables = _connection(self.settings) | {"PGAPPNAME": f"inv {self.settings.project}"}
            yield Client("", folder, variables, data, compression="gzip:1")
        finally:
            if not running:
                local_server.stop(DB)

    def logs_in(self) -> bool:
        """Whether the database lets in who `.env` names, with the password from there."""
        environment = local_server.clean_environment() | _connection(self.settings)
        return local_server.logs_in(server_of(self.settings), environment)

    def logs(self, service: str, follow: bool, lines: str) -> None:
        """The processes' own output, the last `lines` of each."""
        chosen = [self.settings.service(service)] if service else self.settings.services
        files = [str(process_of(name).log) for name in chosen if process_of(name).log.exists()]
        if not files:
            raise problem("RUN01", service=" and ".join(chosen))
        process.attach_or_fail(["tail", "-n", lines, *(["-F"] if follow else []), *files])

    def compose(self, arguments: Sequence[str]) -> None:
        """There is no Compose on this runtime."""
        raise problem("RUN06", task="compose")

    def volumes(self) -> list[Volume]:
        """The data folder, in the place of a volume."""
        home = home_of(self.settings)
        if not home.exists():
            return []
        pid = DB.pid()
        created = datetime.fromtimestamp(home.stat().st_ctime, UTC).isoformat()
        users = [f"postgres (process {pid})"] if pid else []
        return [Volume(str(home), _size(home), created, users)]

    def status(self) -> Status:
        """What runs, and whether the page is ready."""
        astray = lost(self.settings)
        services = [_service_status(name, astray) for name in self.settings.services]
        answer = readiness.NOT_RUNNING
        if WEB.pid():
            served = self.is_served()
            answer = readiness.ask(self.settings) if served else readiness.ON_ANOTHER_PORT
        edited = all(processes(self.settings).values()) and not fingerprint.is_current(
            fingerprint.embedded_inputs(), {}
        )
        return Status.of(self.settings, answer, edited, services, self.volumes())

    def inventory(self) -> list[tuple[str, str, str]]:
        """What runs, and the folders of the data: kind, name and size."""
        running = dict.fromkeys(name for name, pid in processes(self.settings).items() if pid)
        running |= dict.fromkeys(lost(self.settings))
        there = (*_folders(self.settings), *local_server.copies())
        folders = ((str(path), _size(path)) for path in there)
        return [*(("process", name, "") for name in running), *(("folder", *it) for it in folders)]

    def has_data(self) -> bool:
        """Whether there is a cluster for a database to be in."""
        return self.settings.has_own_database and any(
            home_of(self.settings).glob("*/main/PG_VERSION")
        )

    def remove_all(self) -> None:
        """Stop what runs, and remove the folders."""
        _stop(self.settings)
        for path in _folders(self.settings):
            local_server.remove(path)
        for path in local_server.copies():
            shutil.rmtree(path, ignore_errors=True)

    def data_that_stay(self) -> list[str]:
        """What the Docker runtime has of this checkout, and folders that no service uses now."""
        unused = (
            [] if self.settings.has_own_database else [str(home) for home in _homes(self.settings)]
        )
        try:
            volumes = (
                engine.names_of("volume", self.settings) if engine.engine_answers(seconds=2) else []
            )
        except Problem:
            volumes = []
        return [*volumes, *unused]

    def is_served(self) -> bool:
        """Whether it is our web that has WEB_PORT: its command ends with the address."""
        import psutil  # slow to import

        with suppress(psutil.Error):
            pid = WEB.pid()
            return bool(pid) and psutil.Process(pid).cmdline()[-1] == _address(self.settings)
        return False

    def web_log(self) -> str | None:
        """The end of a running web's log; None where none runs, or its database is a lost one."""
        return WEB.last_lines(web_cause.LINES) if WEB.pid() and not is_lost(self.settings) else None


def refuse_lost(settings: Settings) -> None:
    """Raise where a database of this checkout runs that `up` has to end first."""
    if is_lost(settings):
        raise problem("EMB08", processes=f"db (process {DB.pid()})")
    if DB.pid() is None:
        found = [it for it in strays.find(KNOWN) if it.service == "db"]
        if found:
            raise strays.problem_of(found)


def refuse_of_another() -> None:
    """Raise where what runs is another user's: it can neither be ended nor asked."""
    for running in KNOWN:
        running.refuse_of_another()


# up and down


def _is_up(settings: Settings, inputs: str) -> bool:
    running = all(process_of(name).pid() for name in settings.services)
    if (
        not running
        or not fingerprint.is_current(inputs, {})
        or not EmbeddedStack(settings).is_served()
    ):
        return False
    # One whose migrations are missing or do not fit serves: it is not to be stopped for that, nor
    # one that starts again at this moment, since a file was saved.
    return readiness.talks(readiness.settled(settings, _waits_for_an_edit))


def _waits_for_an_edit() -> bool:
    return web_cause.waits_for_an_edit(WEB.last_lines())


def _start(settings: Settings, inputs: str) -> None:
    remote.refuse_missing_certificates(settings)
    refuse_of_another()  # before the data are found to be that user's: they are in use
    _end_lost(settings)
    # The database first: one that refuses leaves a web that runs as it was.
    if settings.has_own_database:
        EmbeddedStack(settings).start_database()
        _fit_database(settings)
    if (
        WEB.pid() and not EmbeddedStack(settings).is_served()
    ):  # it moves: not before the new port is free
        ports.refuse_taken(settings.web_port)
    if not _is_starting(inputs):
        # One with other settings, or without its database, starts anew: it takes half a second.
        _stop_web()
        _refuse_taken_port(settings)
        fingerprint.remember(inputs, {})
        _launch_web(settings)
    _wait_for_web(settings)
    if DB.pid() and not settings.has_own_database:
        console.say("the stack's own database is not used now: it stops, and its data stay")
        local_server.stop(DB)


def _is_starting(inputs: str) -> bool:
    """Whether the web of an `up` that was ended, or had waited long enough, still migrates."""
    return bool(WEB.pid()) and fingerprint.is_current(inputs, {}) and not READY.exists()


def _fit_database(settings: Settings) -> None:
    stack = EmbeddedStack(settings)
    if stack.logs_in():
        if cause := accounts.left_behind(stack):
            raise cause
        return
    if not accounts.facts(stack).databases:  # made a moment ago, or by a task that was ended
        accounts.make(stack)
    if cause := accounts.misfit(stack):
        raise cause


def _migrate(settings: Settings) -> None:
    environment = _environment(settings) | {migrations.LOG_KEY: migrations.ON_STDERR}
    answer = readiness.migrated(
        settings,
        lambda: web_cause.migrate([PYTHON, "manage.py", *MIGRATE], environment, PROJECT),
        _waits_for_an_edit,
    )
    if not answer.ready:
        raise web_cause.of_running(EmbeddedStack(settings), answer, WEB.last_lines(web_cause.LINES))
    readiness.refuse(settings, answer)


def _refuse_taken_port(settings: Settings) -> None:
    deadline = time.monotonic() + 1  # the server of a killed web lets go of it in a moment
    while not ports.port_is_free(settings.web_port):
        if time.monotonic() > deadline:
            raise ports.taken(settings.web_port)
        time.sleep(0.02)


def _launch_web(settings: Settings) -> None:
    argv = [PYTHON, "supervise.py", _address(settings)]
    if not this_task.dry:
        ownership.give_back()  # under sudo it writes there as whom the checkout belongs to
    WEB.start(argv, cwd=PROJECT, env=_environment(settings), account=owner())


def _wait_for_web(settings: Settings) -> None:
    deadline = time.monotonic() + WEB_SECONDS
    while not (answer := readiness.ask(settings)).ready:
        if WEB.pid() is None:
            if not ports.port_is_free(settings.web_port):  # taken in the moment of our start
                raise ports.taken(settings.web_port)
            raise web_cause.of(EmbeddedStack(settings), WEB.last_lines(web_cause.LINES), "ended")
        if time.monotonic() > deadline:
            raise web_cause.of_running(
                EmbeddedStack(settings), answer, WEB.last_lines(web_cause.LINES)
            )
        time.sleep(0.02)


def _end_lost(settings: Settings) -> None:
    """End what runs on a folder that was moved or deleted, or what no note names any more."""
    strays.end(strays.find(KNOWN))
    if is_lost(settings):
        _stop_lost()
    if settings.has_own_database:
        strays.refuse_moved_away(home_of(settings), DB)


def is_lost(settings: Settings) -> bool:
    """Whether the database that runs has lost its folder: that was moved, or deleted."""
    pid = DB.pid()
    return pid is not None and strays.is_lost(pid, home_of(settings))


def _stop_lost() -> None:
    # At once, without a last checkpoint: that would be written by the path of before.
    DB.stop(signal.SIGQUIT, strays.SECONDS) or DB.stop(signal.SIGKILL, strays.SECONDS)


def _stop(settings: Settings) -> None:
    _stop_web()
    if is_lost(settings):
        _stop_lost()
    local_server.stop(DB)
    strays.end(strays.find(KNOWN))
    if not this_task.dry:
        local_server.refuse_unknown_server(home_of(settings), local_server.account())


def _stop_web() -> None:
    WEB.stop(signal.SIGTERM, seconds=10) or WEB.stop(signal.SIGKILL, seconds=5)


# Where things are


def home_of(settings: Settings) -> Path:
    """The folder of the data: in the checkout, unless the server's account cannot reach it."""
    outside = local_server.OUTSIDE / project_name()  # by path: a copy has its own
    if HOME.exists():
        return HOME
    if outside.exists() or not local_server.reaches(local_server.account(), ROOT):
        return outside
    return HOME


def processes(settings: Settings) -> dict[str, int | None]:
    """The process numbers of the services; None for one that does not run."""
    return {name: process_of(name).pid() for name in settings.services}


def _address(settings: Settings) -> str:
    return f"127.0.0.1:{settings.web_port}"


def _socket(home: Path) -> Path:
    inside = home / "socket"
    if len(os.fsencode(inside)) <= local_server.LONGEST_SOCKET:
        return inside
    return Path("/tmp") / f"{project_name()}.socket"


def server_of(settings: Settings) -> Server:
    """The server of this checkout, whether it runs or not."""
    home, account = home_of(settings), local_server.account()
    binaries = local_server.binaries(account)
    return Server(home, binaries, _socket(home), account, DB)


def _connection(settings: Settings) -> dict[str, str]:
    """The variables by which psql and its like find the project's database."""
    if not settings.has_own_database:
        return remote.variables(settings)
    values = settings.values
    return {
        "PGHOST": _host(settings),
        "PGPORT": local_server.PORT,
        "PGUSER": values["SQL_USER"],
        "PGPASSWORD": values["SQL_PASSWORD"],
        "PGDATABASE": values["SQL_DATABASE"],
    }


def _environment(settings: Settings) -> dict[str, str]:
    """Our environment with the values of `.env`, and the way to the database."""
    where = {"SQL_HOST": _host(settings), "SQL_PORT": _port(settings), "READY_FILE": str(READY)}
    exported = web_env.without_production(local_server.clean_environment(), others=())
    return {**exported, **web_env.without_production(settings.values), **where}


def _port(settings: Settings) -> str:
    # Our own server has no port, only a socket whose file is named by one: always the same.
    return local_server.PORT if settings.has_own_database else settings.values["SQL_PORT"]


def _host(settings: Settings) -> str:
    return settings.values["SQL_HOST"] or str(_socket(home_of(settings)))


def process_of(service: str) -> Background:
    """The process of a service."""
    return {"db": DB, "web": WEB}[service]


def _need_database(settings: Settings) -> None:
    packages.ensure("embedded")
    if settings.has_own_database and DB.pid() is None:
        raise problem("RUN01", service="db")
    DB.refuse_of_another()
    if is_lost(settings):
        raise problem("EMB08", processes=f"db (process {DB.pid()})")
    accounts.settle(EmbeddedStack(settings))


def lost(settings: Settings) -> dict[str, str]:
    """What runs but was lost sight of: how each service is called."""
    found = {}
    if not all(processes(settings).values()):
        found = {it.service: it.words for it in strays.find(KNOWN)}
    return found | ({"db": f"db (process {DB.pid()})"} if is_lost(settings) else {})


def _service_status(name: str, lost: Mapping[str, str]) -> ServiceStatus:
    pid = process_of(name).pid()
    if name in lost:
        return ServiceStatus(name, "lost", f"{lost[name]} was lost sight of", "")
    if pid is None:
        return ServiceStatus(name, "absent", "not running", "")
    return ServiceStatus(name, "running", f"process {pid}", "")


def _folders(settings: Settings) -> list[Path]:
    """Those that a nuke removes: of a database that is not used now there is no backup."""
    return _homes(settings) if settings.has_own_database else []


def _homes(settings: Settings) -> list[Path]:
    """That of the data, and of the socket where that is not within: its path would be too long."""
    home = home_of(settings)
    folders = dict.fromkeys((home, _socket(home)))
    return [path for path in folders if path.exists() and path.parent not in folders]


def _size(folder: Path) -> str:
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a server at work removes files all the time
            total += file.lstat().st_size
    return f"{total / 1e6:.1f}MB"
