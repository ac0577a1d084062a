"""Processes that go on after the task: alive as long as they hold the lock on a file of ours.

The kernel lets go of a lock when its holder ends, and at a reboot. A process number is read only
while the lock is held, so that one which now belongs to another program is never signalled. Nor is
one of a container that has this folder as well, as a dev container does: there it is another's.
"""

import fcntl
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from djup import ROOT, STATE
from djup.host import ownership, packages, process
from djup.problems import problem
from djup.terminal.task import this_task


@dataclass(frozen=True)
class Account:
    """Whom a process runs as, where that is not ourselves."""

    uid: int
    gid: int


def owner() -> Account | None:
    """Under sudo, whom the checkout belongs to: what keeps running is to be theirs.

    None where that user has no name, for which initdb asks, or cannot run the Python of `.venv`.
    """
    folder = ROOT.stat()
    if os.geteuid() or not folder.st_uid:
        return None
    try:
        pwd.getpwuid(folder.st_uid)
    except KeyError:
        return None
    account = Account(folder.st_uid, folder.st_gid)
    runs = subprocess.run(["test", "-x", packages.PYTHON], **identity(account))
    return None if runs.returncode else account


def identity(account: Account | None) -> dict[str, Any]:
    """What `subprocess` calls it; None is ourselves."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": ()}


@dataclass(frozen=True)
class Background:
    """One such process: its name, and the files that stand for it in `folder`."""

    name: str
    folder: Path = STATE

    @property
    def log(self) -> Path:
        """The file of its output."""
        return self.folder / f"{self.name}.log"

    @property
    def lock(self) -> Path:
        """The file whose lock it holds as long as it runs."""
        return self.folder / f"{self.name}.lock"

    @property
    def numbers(self) -> Path:
        """The file that says among which process numbers its own is one."""
        return self.folder / f"{self.name}.numbers"

    def pid(self) -> int | None:
        """Its process number while it runs (0 in the moment of its start), else None."""
        if not self.lock.exists():
            return None
        with self.lock.open() as file:
            try:
                # Shared: two that ask at once must not take each other for the process.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                self._refuse_other_numbers()
                return int(self.lock.read_text() or 0)
        return None

    def _refuse_other_numbers(self) -> None:
        """Raise if it runs where process numbers are not ours."""
        if self.numbers.exists() and self.numbers.read_text() not in ("", _numbers()):
            raise problem("EMB10", name=self.name, folder=str(ROOT))

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        account: Account | None = None,
    ) -> None:
        """Start it, away from our terminal, with its output in its log."""
        process.show(argv)
        if this_task.dry:
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with self.lock.open("a+") as lock, self.log.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)  # the number of before, which may be another program's by now
            self.numbers.write_text(_numbers())
            subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],  # the lock goes on with the child, and ends with it
                # By itself: whatever ends us, there is none that nobody can stop.
                preexec_fn=lambda: os.write(lock.fileno(), str(os.getpid()).encode()),
                **identity(account),
            )

    def stop(self, signum: int, seconds: float) -> bool:
        """Send `signum` and wait for its end; whether it came within `seconds`."""
        deadline = time.monotonic() + seconds
        if pid := self.pid():
            process.show(["kill", f"-{signal.Signals(signum).name[3:]}", str(pid)])
            if this_task.dry:
                return True
            self._signal(pid, signum)
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def refuse_of_another(self) -> None:
        """Raise if it runs as somebody whose processes we may not end."""
        if pid := self.pid():
            self._signal(pid, 0)

    def _signal(self, pid: int, signum: int) -> None:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            owner = ownership.user(Path(f"/proc/{pid}").stat().st_uid)
            raise problem("SYS08", name=self.name, pid=pid, owner=owner) from error

    def last_lines(self, count: int = 25) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def _numbers() -> str:
    """What tells the process numbers of this machine from those of a container; '' where the kernel
    does not say (macOS: a container there is on another kernel, and shares no lock with us)."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
