"""How the embedded services come up, one after the other, and go down."""

import signal
import time

from djup.checkout import fingerprint
from djup.host import ownership, packages, ports
from djup.host.background import Background, owner
from djup.postgres import local_server, remote
from djup.problems import problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import accounts, migrate, services, strays
from djup.stack.causes import login, migrations, readiness
from djup.stack.causes import web as web_cause
from djup.stack.embedded_services import (
    DB,
    FURTHER,
    KNOWN,
    PYTHON,
    READY,
    WEB,
    address,
    alive_file,
    data_home,
    environment_of,
    is_lost,
    process_of,
    refuse_of_another,
    waits_for_an_edit,
)
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

WEB_SECONDS = 120
FURTHER_SECONDS = 60
LINES = 12
MIGRATE = ("migrate", "--no-input")


def up(stack: Stack) -> None:
    """Start what is not running, wait until the page answers and is migrated."""
    packages.ensure("embedded", *packages.optional("dev"))
    inputs = fingerprint.embedded_inputs(stack.settings)
    if this_task.dry:
        _launch_web(stack.settings)
        return
    if not _is_up(stack, inputs):
        _start(stack, inputs)
    _migrate(stack)
    _settle_further(stack)


def _is_up(stack: Stack, inputs: str) -> bool:
    """Whether database and web are as they are to be."""
    settings = stack.settings
    running = all(process_of(name).pid() for name in ("db", "web") if name in stack.services)
    if not running or not fingerprint.is_current(inputs, {}) or not stack.is_served():
        return False
    # One whose migrations are missing or do not fit serves: it is not to be stopped for that, nor
    # one that starts again at this moment, since a file was saved.
    return readiness.talks(readiness.settled(settings, waits_for_an_edit))


def _start(stack: Stack, inputs: str) -> None:
    settings = stack.settings
    remote.refuse_missing_certificates(settings)
    refuse_of_another()  # before the data are found to be that user's: they are in use
    _end_lost(settings)
    # The database first: one that refuses leaves a web that runs as it was.
    if settings.has_own_database:
        stack.start_database()
        fit_database(stack)
    if WEB.pid() and not stack.is_served():  # it moves: not before the new port is free
        ports.refuse_taken(settings.web_port)
    if not _is_starting(inputs):
        # One with other settings, or without its database, starts again: it takes half a second.
        # The further services go on while only the web has to start again.
        _stop(WEB) if fingerprint.is_current(inputs, {}) else _stop_code()
        _refuse_taken_port(settings)
        fingerprint.remember(inputs, {})
        _launch_web(settings)
    _wait_for_web(stack)
    if DB.pid() and not settings.has_own_database:
        console.say("the stack's own database is not in use: it stops, and its data stay")
        local_server.stop(DB)


def _is_starting(inputs: str) -> bool:
    """Whether the web of an `up` that was ended, or had waited long enough, still migrates."""
    return bool(WEB.pid()) and fingerprint.is_current(inputs, {}) and not READY.exists()


def fit_database(stack: Stack) -> None:
    """Have the database let in who `.env` names, or raise with what does not fit."""
    if stack.logs_in():
        if cause := login.left_behind(stack):
            raise cause
        return
    if not login.facts(stack).databases:  # made a moment ago, or by a task that was ended
        accounts.make(stack)
    if cause := login.misfit(stack):
        raise cause


def _migrate(stack: Stack) -> None:
    settings = stack.settings
    variables = environment_of(settings) | {migrate.LOG_KEY: migrate.ON_STDERR}
    answer = readiness.migrated(
        settings,
        lambda: migrate.beside_web([PYTHON, "manage.py", *MIGRATE], variables, layout().folder),
        waits_for_an_edit,
    )
    if not answer.ready:
        raise web_cause.of_running(stack, answer, WEB.last_lines(web_cause.LINES))
    readiness.refuse(answer)


def _refuse_taken_port(settings: Settings) -> None:
    deadline = time.monotonic() + 1  # the server of a killed web lets go of it in a moment
    while not ports.port_is_free(settings.web_port):
        if time.monotonic() > deadline:
            raise ports.taken(settings.web_port)
        time.sleep(0.02)


def _launch_web(settings: Settings) -> None:
    argv = [PYTHON, *ports.SUPERVISORS[0], address(settings)]
    if not this_task.dry:
        if layout().media:
            local_server.make_private(data_home(), local_server.account())
        ownership.give_back()  # under sudo it writes there as whom the checkout belongs to
    WEB.start(argv, cwd=layout().folder, env=environment_of(settings), account=owner())


def _wait_for_web(stack: Stack) -> None:
    settings = stack.settings
    deadline, progress = time.monotonic() + WEB_SECONDS, migrations.Progress()
    while not (answer := readiness.ask(settings)).ready:
        if WEB.pid() is None:
            if not ports.port_is_free(settings.web_port):  # taken in the moment of our start
                raise ports.taken(settings.web_port)
            raise web_cause.problem_of(stack, WEB.last_lines(web_cause.LINES), "ended")
        if time.monotonic() > deadline:
            log = WEB.last_lines(web_cause.LINES)
            if not progress.goes_on(log):
                raise web_cause.of_running(stack, answer, log)
            deadline += migrations.STEP_SECONDS
        time.sleep(0.02)


def _end_lost(settings: Settings) -> None:
    """End what runs on a folder that was moved or deleted, or what no note names any more."""
    strays.end(strays.find(KNOWN))
    if is_lost():
        _stop_lost()
    if settings.has_own_database:
        strays.refuse_moved_away(data_home(), DB)


def _stop_lost() -> None:
    # At once, without a last checkpoint: that would be written by the path of before.
    DB.stop(signal.SIGQUIT, strays.SECONDS) or DB.stop(signal.SIGKILL, strays.SECONDS)


def down() -> None:
    """Stop every service, and what was lost sight of."""
    _stop_code()
    if is_lost():
        _stop_lost()
    local_server.stop(DB)
    strays.end(strays.find(KNOWN))
    if not this_task.dry:
        local_server.refuse_unknown_server(data_home(), local_server.account())


def _stop_code() -> None:
    """Stop what runs the project's code: the web, and the further services."""
    for process in (*FURTHER, WEB):
        _stop(process)


def _stop(process: Background) -> None:
    process.stop(signal.SIGTERM, seconds=10) or process.stop(signal.SIGKILL, seconds=5)


def _settle_further(stack: Stack) -> None:
    """Have those further services run that the project has, and end the others."""
    for process in FURTHER:
        if process.name not in stack.services:
            _end_removed(process)
        elif process.pid() is None:
            _launch(process, stack.settings)
    for process in FURTHER:
        if process.name in stack.services:
            _wait_until_alive(process)
    absent = services.without_process()
    if "mail" in absent:
        absent.remove("mail")
        console.say("without Docker mails are files: inv mail lists them")
    if absent:
        console.say(f"without Docker there is no {' and no '.join(absent)}")


def _end_removed(process: Background) -> None:
    if process.pid() is not None:
        console.say(f"the service {process.name} is no longer one of the project: it ends")
        _stop(process)


def _launch(process: Background, settings: Settings) -> None:
    """Start a further service: a command of manage.py, which says by a file that it is alive."""
    alive_file(process.name).unlink(missing_ok=True)
    environment = environment_of(settings) | {"HEALTH_FILE": str(alive_file(process.name))}
    argv = [PYTHON, "manage.py", process.name]
    process.start(argv, cwd=layout().folder, env=environment, account=owner())


def _wait_until_alive(process: Background) -> None:
    deadline = time.monotonic() + FURTHER_SECONDS
    while not alive_file(process.name).exists():
        ended = process.pid() is None
        if ended or time.monotonic() > deadline:
            status = "ended" if ended else f"not ready after {FURTHER_SECONDS} seconds"
            said = process.last_lines(LINES)
            raise problem("RUN08", said, service=process.name, status=status)
        time.sleep(0.02)
