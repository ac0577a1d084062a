"""Processes of this checkout that its notes have lost: its folder was renamed, or `.data` or
`.state` was deleted, while they ran.

A process is this checkout's only if it was started as `up` starts it, by the same account, and
works in a folder of this checkout. Folders are compared themselves; a path counts only where the
folder that a process works in was deleted.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from djup import ROOT, is_checkout
from djup.checkout.create import project_name
from djup.host import ports, process
from djup.host.background import Account, Background, owner
from djup.postgres import local_server
from djup.problems import Problem, problem
from djup.settings.layout import layout
from djup.stack import services
from djup.terminal.task import this_task

if TYPE_CHECKING:
    from psutil import Process

SECONDS = 30


@dataclass(frozen=True)
class Stray:
    """A process that no lock of ours names: which service it is, and the signal that ends it."""

    service: str
    process: "Process"
    signum: signal.Signals

    @property
    def words(self) -> str:
        """How a sentence calls it."""
        return f"{self.service} (process {self.process.pid})"


def homes() -> tuple[Path, Path]:
    """The folders that the data of this checkout may be in: within it, and for root outside."""
    return ROOT / ".data", local_server.OUTSIDE / project_name()


def find(known: Sequence[Background]) -> list[Stray]:
    """The strays of this checkout, the web before its database; `known` are not looked for."""
    import psutil  # slow to import, and seldom needed

    held = {service.pid() for service in known}
    others = (other for other in psutil.process_iter() if other.pid not in held)
    strays = [stray for other in others if (stray := _stray(other))]
    # A child that was forked a moment ago still looks like its parent.
    parents = held | {stray.process.pid for stray in strays}
    eldest = [stray for stray in strays if _parent(stray.process) not in parents]
    return sorted(eldest, key=lambda stray: stray.service, reverse=True)


def end(strays: Sequence[Stray]) -> None:
    """End strays; a database whose data are there is asked to, and never killed."""
    for stray in strays:
        process.show(["kill", f"-{stray.signum.name[3:]}", str(stray.process.pid)])
        if not this_task.dry:
            _end(stray)


def _end(stray: Stray) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        stray.process.send_signal(stray.signum)
        try:
            stray.process.wait(SECONDS)
        except psutil.TimeoutExpired:
            if stray.signum == signal.SIGINT:
                raise problem("EMB08", processes=f"{stray.words}, which does not stop") from None
            stray.process.kill()
            stray.process.wait(SECONDS)


def is_lost(pid: int, home: Path) -> bool:
    """Whether a server works on another folder than one of `home`, or was started on another
    path.

    It reads its programs, and writes some of its files, by the path that it was started with.
    """
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        data = Path(os.fsdecode(argv[argv.index(b"-D") + 1]))
        return data.parent.parent != home or not _works_in(pid, data)
    except (PermissionError, ValueError, IndexError):  # of another user, or not even started
        return False
    except FileNotFoundError:  # it has ended, or there is no /proc
        return not Path("/proc/self").exists() and not home.exists()


def refuse_moved_away(home: Path, known: Background) -> None:
    """Raise if the server of a checkout that was moved away from here still runs: it writes some of
    its files by the path that it was started with, where our data are now."""
    import psutil

    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            data = _data_of(candidate)
            if (
                data is None
                or data.parent.parent != home
                or known.pid() in (candidate.pid, candidate.ppid())
            ):
                continue
            if (folder := Path(candidate.cwd())) != data:
                root = folder.parents[2]
                folder = root if is_checkout(root) else folder
                raise problem("EMB09", pid=candidate.pid, folder=str(folder))


def problem_of(strays: Sequence[Stray]) -> Problem:
    """The problem that they are."""
    return problem("EMB08", processes=", ".join(stray.words for stray in strays))


def _stray(candidate: "Process") -> Stray | None:
    import psutil

    with suppress(psutil.Error, OSError):  # it has ended, or is not ours to look into
        if data := _data_of(candidate):
            return _database(candidate, data)
        if (
            _is_web(candidate)
            and _is_in(candidate, layout().folder)
            and _is_ours(candidate, _uid(owner()))
        ):
            return Stray("web", candidate, signal.SIGTERM)
        if (name := _further(candidate)) and _is_ours(candidate, _uid(owner())):
            return Stray(name, candidate, signal.SIGTERM)
    return None


def _database(candidate: "Process", data: Path) -> Stray | None:
    inside = Path(data.parent.name, data.name)  # such as 18/main
    folders = [folder for home in homes() if _is_in(candidate, folder := home / inside)]
    if not folders or not _is_ours(candidate, _uid(local_server.account())):
        return None
    kept = folders[0] == data and _works_in(candidate.pid, data)
    return Stray("db", candidate, signal.SIGINT if kept else signal.SIGQUIT)


def _data_of(candidate: "Process") -> Path | None:
    """The data folder of a server that was started as ours are; None for any other process."""
    argv = candidate.cmdline()
    if len(argv) < 9 or Path(argv[0]).name != "postgres":
        return None
    flags, values = argv[1:9:2], argv[2:9:2]
    ours = flags == ["-D", "-k", "-c", "-p"] and values[2:] == [
        "listen_addresses=",
        local_server.PORT,
    ]
    return Path(values[0]) if ours else None


def _is_web(candidate: "Process") -> bool:
    argv = candidate.cmdline()
    return ports.is_supervisor(argv) and argv[-1].startswith("127.0.0.1:")


def _further(candidate: "Process") -> str:
    """The name of a further service of this checkout, which `up` has started; '' if it is none."""
    if not _is_in(candidate, layout().folder):
        return ""
    # The same command by hand has no such variable.
    file = Path(candidate.environ().get("HEALTH_FILE", ""))
    return file.stem if file.suffix == ".alive" and file.stem in services.OF_CODE else ""


def _uid(account: Account | None) -> int:
    return account.uid if account else os.geteuid()


def _is_ours(candidate: "Process", uid: int) -> bool:
    # A container may have this very folder, and see it by the same path: its processes are its own.
    spaces = [Path(f"/proc/{pid}/ns/mnt") for pid in (candidate.pid, "self")]
    same = not spaces[1].exists() or len({space.readlink() for space in spaces}) == 1
    return same and bool(candidate.uids().real == uid)


def _is_in(candidate: "Process", folder: Path) -> bool:
    """Whether it works in `folder`, or in one that was there until it was deleted."""
    if _works_in(candidate.pid, folder):
        return True
    deleted = Path(f"/proc/{candidate.pid}/cwd").readlink().name.endswith(" (deleted)")
    return deleted and Path(candidate.cwd()) == folder


def _works_in(pid: int, folder: Path) -> bool:
    link = Path(f"/proc/{pid}/cwd")
    if not link.parent.exists():  # no /proc
        import psutil

        return Path(psutil.Process(pid).cwd()) == folder
    return folder.exists() and link.samefile(folder)


def _parent(candidate: "Process") -> int:
    import psutil

    with suppress(psutil.Error):
        return int(candidate.ppid())
    return 0
