"""Keep the development server running through every change of the code.

Django's reloader dies of an error that strikes before it watches: a syntax error in settings.py,
say. This process runs `manage.py serve --reload` and starts it again, at once when it ended
because the code changed (status 3), and after the next change when it ended in an error. Arguments
are passed on to `serve`. `--run COMMAND` runs another command of manage.py in its place, which ends
with status 3 when the code changes, and makes READY_FILE when it is ready.

Before the service was ready once, an error ends this process too, with the same status: a first
start that fails is to be seen, not waited out. READY_FILE says that it was: the server makes it.

Only the standard library: this is process 1 of the container, and starts in milliseconds.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

HERE = Path.cwd()  # the folder of manage.py
CHANGED = 3
POLL_SECONDS = 0.5
STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
SUFFIXES = (".py", ".html", ".txt", ".json", ".toml", ".yaml")
FINGERPRINT = "SUPERVISE_FINGERPRINT"
LIFELINE = "SUPERVISE_LIFELINE"
READY = "READY_FILE"
SERVE, AGAIN = ("serve", "--reload"), ("--no-migrate",)
RUN = "--run"

Snapshot = dict[Path, tuple[int, int]]


def watched() -> list[Path]:
    """The project, and this package where one works on it: an installed one does not change."""
    package = Path(__file__).resolve().parent
    return [HERE] if "site-packages" in package.parts else [HERE, package]


def snapshot(*roots: Path) -> Snapshot:
    """Path -> (mtime in ns, size) of the files whose change may cure an error."""
    found = {}
    for folder, folders, files in chain(*map(os.walk, roots or watched())):
        folders[:] = [name for name in folders if not name.startswith((".", "__", "node_modules"))]
        for path in (Path(folder, name) for name in files if name.endswith(SUFFIXES)):
            try:
                status = path.stat()
            except OSError:  # Gone since it was listed.
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def fingerprint(files: Snapshot) -> str:
    return f"{zlib.crc32(repr(sorted(files.items())).encode()):08x}"


def exit_status(returncode: int) -> int:
    """What a shell makes of it: 128+n for a child that signal n ended."""
    return 128 - returncode if returncode < 0 else returncode


def ended(status: int, waits: bool) -> str:
    then = f"; waiting for a change in {HERE.name}/ ..." if waits else "."
    return f"Ended with status {status}{then}"


class Supervisor:
    def __init__(
        self,
        command: Sequence[str],
        ready_file: Path,
        again: Sequence[str] = (),
    ) -> None:
        """Supervise a command of manage.py, which gets the words `again` once it was ready."""
        self.command, self.again = command, again
        self.ready_file = ready_file
        self.ready = False
        self.stopping = False
        # The child reads one end, and sees it close when this process is killed outright.
        self.lifeline, self.held_open = os.pipe()

    def run(self) -> int:
        self.ready_file.unlink(missing_ok=True)
        # Blocked and waited for, no signal is lost between a test and a sleep, as with a handler.
        # Process 1 has no default actions either: what it does not take, it ignores.
        signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP, signal.SIGCHLD})
        signal.signal(signal.SIGCHLD, lambda *_: None)  # Else macOS drops it.
        while True:
            before = snapshot()
            status = self.serve(before)
            self.ready = self.ready or self.ready_file.exists()
            ends = self.stopping or status == 0 or (status != CHANGED and not self.ready)
            if status not in (0, CHANGED):
                # On stderr, as what it ended with: a log that has two streams keeps each in order.
                print(ended(status, waits=not ends), file=sys.stderr, flush=True)
            if ends:
                return status
            if status != CHANGED and not self.changed(before):
                return 0

    def serve(self, before: Snapshot) -> int:
        """Run the server until it ends, and return its status."""
        child = self.start(before)
        while child.poll() is None:
            if signal.sigwait({*STOP, signal.SIGCHLD}) in STOP:
                self.stopping = True
                child.terminate()
        return exit_status(child.returncode)

    def start(self, before: Snapshot) -> subprocess.Popen[bytes]:
        again = self.again if self.ready else ()
        variables = {
            "RUN_MAIN": "true",
            "PYTHONUNBUFFERED": "1",
            FINGERPRINT: fingerprint(before),
            LIFELINE: str(self.lifeline),
            READY: str(self.ready_file),
        }
        return subprocess.Popen(
            [sys.executable, "manage.py", *self.command, *again],
            cwd=HERE,
            env={**os.environ, **variables},
            pass_fds=[self.lifeline],
            preexec_fn=restore_signals,
        )

    def changed(self, before: Snapshot) -> bool:
        """Wait for a file to differ from `before`; False if told to stop."""
        while not STOP & signal.sigpending():
            if snapshot() != before:
                print("A file has changed: starting again.", file=sys.stderr, flush=True)
                return True
            time.sleep(POLL_SECONDS)
        return False


def restore_signals() -> None:
    """In the child: as they were, but for a terminal's Ctrl-C, which reaches both processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, signal.SIGCHLD})


def supervisor(words: Sequence[str]) -> Supervisor:
    """The supervisor that a command line asks for."""
    if words[:1] == [RUN]:
        # Of a name that no other checkout of this machine has.
        ready_file = Path(tempfile.gettempdir(), f"djup-{words[1]}-{os.getpid()}")
        return Supervisor(words[1:], ready_file)
    ready_file = Path(os.environ.get(READY) or "/tmp/web-ready")
    return Supervisor([*SERVE, *words], ready_file, AGAIN)


if __name__ == "__main__":
    sys.exit(supervisor(sys.argv[1:]).run())
