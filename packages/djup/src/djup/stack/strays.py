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

from djup import PROJECT, ROOT, is_checkout
from djup.checkout.create import project_name
from djup.host import ports, process
from djup.host.background import Account, Background, owner
from djup.postgres import local_server
from djup.problems import Problem, problem
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

    held = {it.pid() for it in known}
    found = [it for one in psutil.process_iter() if one.pid not in held and (it := _stray(one))]
    # A child that was forked a moment ago still looks like its parent.
    parents = held | {it.process.pid for it in found}
    strays = [it for it in found if _parent(it.process) not in parents]
    return sorted(strays, key=lambda it: it.service, reverse=True)


def end(found: Sequence[Stray]) -> None:
    """End strays; a database whose data are there is asked to, and never killed."""
    for stray in found:
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

    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            data = _data_of(one)
            if data is None or data.parent.parent != home or known.pid() in (one.pid, one.ppid()):
                continue
            if (folder := Path(one.cwd())) != data:
                root = folder.parents[2]
                folder = root if is_checkout(root) else folder
                raise problem("EMB09", pid=one.pid, folder=str(folder))


def problem_of(found: Sequence[Stray]) -> Problem:
    """The problem that they are."""
    return problem("EMB08", processes=", ".join(it.words for it in found))


def _stray(one: "Process") -> Stray | None:
    import psutil

    with suppress(psutil.Error, OSError):  # it has ended, or is not ours to look into
        if data := _data_of(one):
            return _database(one, data)
        if _is_web(one) and _is_in(one, PROJECT) and _is_ours(one, _uid(owner())):
            return Stray("web", one, signal.SIGTERM)
    return None


def _database(one: "Process", data: Path) -> Stray | None:
    inside = Path(data.parent.name, data.name)  # such as 18/main
    there = [folder for home in homes() if _is_in(one, folder := home / inside)]
    if not there or not _is_ours(one, _uid(local_server.account())):
        return None
    kept = there[0] == data and _works_in(one.pid, data)
    return Stray("db", one, signal.SIGINT if kept else signal.SIGQUIT)


def _data_of(one: "Process") -> Path | None:
    """The data folder of a server that was started as ours are; None for any other process."""
    argv = one.cmdline()
    if len(argv) < 9 or Path(argv[0]).name != "postgres":
        return None
    flags, values = argv[1:9:2], argv[2:9:2]
    ours = flags == ["-D", "-k", "-c", "-p"] and values[2:] == [
        "listen_addresses=",
        local_server.PORT,
    ]
    return Path(values[0]) if ours else None


def _is_web(one: "Process") -> bool:
    argv = one.cmdline()
    return ports.is_supervisor(argv) and argv[-1].startswith("127.0.0.1:")


def _uid(account: Account | None) -> int:
    return account.uid if account else os.geteuid()


def _is_ours(one: "Process", uid: int) -> bool:
    # A container may have this very folder, and see it by the same path: its processes are its own.
    spaces = [Path(f"/proc/{it}/ns/mnt") for it in (one.pid, "self")]
    same = not spaces[1].exists() or len({space.readlink() for space in spaces}) == 1
    return same and bool(one.uids().real == uid)


def _is_in(one: "Process", folder: Path) -> bool:
    """Whether it works in `folder`, or in one that was there until it was deleted."""
    if _works_in(one.pid, folder):
        return True
    deleted = Path(f"/proc/{one.pid}/cwd").readlink().name.endswith(" (deleted)")
    return deleted and Path(one.cwd()) == folder


def _works_in(pid: int, folder: Path) -> bool:
    link = Path(f"/proc/{pid}/cwd")
    if not link.parent.exists():  # no /proc
        import psutil

        return Path(psutil.Process(pid).cwd()) == folder
    return folder.exists() and link.samefile(folder)


def _parent(one: "Process") -> int:
    import psutil

    with suppress(psutil.Error):
        return int(one.ppid())
    return 0
