"""The services of the embedded runtime: processes, their folders, and what they are given."""

import os
from pathlib import Path
from urllib.parse import quote

from djup import IS_ADOPTED, ROOT, STATE
from djup.checkout import debugging, web_env
from djup.checkout.create import project_name
from djup.host import packages
from djup.host.background import Background, owner
from djup.host.uploads import TOOL, Uploads
from djup.postgres import libpq, local_server, remote
from djup.postgres.local_server import Server
from djup.problems import problem
from djup.settings import stages
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import services, strays
from djup.stack.causes import web as web_cause

HOME = ROOT / ".data"
MAILS = STATE / "mail"
MAIL_URL = f"filemail://{quote(str(MAILS))}"
READY = STATE / "web.ready"
WEB = Background("web")
DB = Background("db")
FURTHER = tuple(Background(name) for name in services.OF_CODE)
KNOWN = (DB, WEB, *FURTHER)
PYTHON = str(packages.PYTHON)


def data_home() -> Path:
    """The folder of the data: in the checkout, unless the server's account cannot reach it."""
    outside = local_server.OUTSIDE / project_name()  # by path: a copy has its own
    if HOME.exists():
        return HOME
    if outside.exists() or not local_server.reaches(local_server.account(), ROOT):
        return outside
    return HOME


def media_home() -> Path:
    """The folder in the place of the volume of uploads."""
    return data_home() / "media"


def media() -> dict[str, str]:
    """Where uploads go, as a variable; none in a project that has not asked for it."""
    return {"MEDIA_ROOT": str(media_home() / "files")} if layout().media else {}


def uploads() -> Uploads | None:
    """The uploads of this project; None where the tasks know of none."""
    if not layout().media:
        return None
    account = owner()
    whose = f"{account.uid}:{account.gid}" if account else ""
    return Uploads(str(media_home()), lambda: [PYTHON, "-I", str(TOOL)], whose)


def processes(settings: Settings) -> dict[str, int | None]:
    """The process numbers of the services; None for one that does not run."""
    return {name: process_of(name).pid() for name in services.of_processes(settings)}


def address(settings: Settings) -> str:
    """Where the web listens."""
    return f"127.0.0.1:{settings.web_port}"


def socket_of(home: Path) -> Path:
    """The folder of the server's socket: beside the data, unless its path would be too long."""
    inside = home / "socket"
    if len(os.fsencode(inside)) <= local_server.LONGEST_SOCKET:
        return inside
    return Path("/tmp") / f"{project_name()}.socket"


def our_server() -> Server:
    """The server of this checkout, whether it runs or not."""
    home, account = data_home(), local_server.account()
    binaries = local_server.binaries(account)
    return Server(home, binaries, socket_of(home), account, DB)


def connection_of(settings: Settings) -> dict[str, str]:
    """The variables by which psql and its like find the project's database."""
    if not settings.has_own_database:
        return remote.variables(settings)
    values = settings.values
    return libpq.variables(
        host=_host(settings),
        port=local_server.PORT,
        user=values["SQL_USER"],
        password=values["SQL_PASSWORD"],
        database=values["SQL_DATABASE"],
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """Our environment with the values of `.env`, and the way to the database."""
    where = {"SQL_HOST": _host(settings), "SQL_PORT": _port(settings), "READY_FILE": str(READY)}
    deployed = stages.prefixes(settings.values)
    exported = web_env.without_production(local_server.clean_environment(), (), deployed)
    ours = web_env.without_production(settings.values, deployed=deployed)
    given = {key: text for key, text in ours.items() if not web_env.is_empty(key, ours)}
    added = web_env.started_by_us({**settings.values, **where}, layout().settings)
    debug = debugging.environment(settings)
    return {**exported, **_mail(settings), **given, **where, **media(), **debug, **added}


def _mail(settings: Settings) -> dict[str, str]:
    """Where mails go without EMAIL_URL: into files."""
    return {"EMAIL_URL": MAIL_URL} if keeps_mails() and not settings.values["EMAIL_URL"] else {}


def keeps_mails() -> bool:
    """Whether mails are written into files: in an adopted project only if it asks for that by the
    service `mail`, since its own settings say where they go."""
    return not IS_ADOPTED or "mail" in layout().services


def _port(settings: Settings) -> str:
    # Our own server has no port, only a socket whose file is named by one: always the same.
    return local_server.PORT if settings.has_own_database else settings.values["SQL_PORT"]


def _host(settings: Settings) -> str:
    return settings.values["SQL_HOST"] or str(socket_of(data_home()))


def process_of(service: str) -> Background:
    """The process of a service."""
    return next(process for process in KNOWN if process.name == service)


def alive_file(name: str) -> Path:
    """The file that a service touches as long as it is alive."""
    return STATE / f"{name}.alive"


def is_lost() -> bool:
    """Whether the database that runs has lost its folder: that was moved, or deleted."""
    pid = DB.pid()
    return pid is not None and strays.is_lost(pid, data_home())


def lost(settings: Settings) -> dict[str, str]:
    """What runs but was lost sight of: how each service is called."""
    words = {}
    if not all(processes(settings).values()):
        words = {stray.service: stray.words for stray in strays.find(KNOWN)}
    return words | ({"db": f"db (process {DB.pid()})"} if is_lost() else {})


def refuse_lost() -> None:
    """Raise where a database of this checkout runs that `up` has to end first."""
    if is_lost():
        raise problem("EMB08", processes=f"db (process {DB.pid()})")
    if DB.pid() is None:
        servers = [stray for stray in strays.find(KNOWN) if stray.service == "db"]
        if servers:
            raise strays.problem_of(servers)


def refuse_of_another() -> None:
    """Raise where what runs is another user's: it can neither be ended nor asked."""
    for running in KNOWN:
        running.refuse_of_another()


def waits_for_an_edit() -> bool:
    """Whether the server has ended, and its supervisor waits for a change of the code."""
    return web_cause.waits_for_an_edit(WEB.last_lines())
