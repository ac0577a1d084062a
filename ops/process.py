"""The two doors to other programs: `run` captures, `attach` hands over the terminal."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ops import ROOT


@dataclass
class Mode:
    """Invoke's --dry (show commands, run none that change something) and --echo (show all)."""

    dry: bool = False
    echo: bool = False


mode = Mode()


@dataclass(frozen=True)
class Result:
    """What a captured command came to; 127 is no such program, 124 no answer in time."""

    code: int
    out: str
    err: str


class ChildFailed(Exception):
    """An attached command ended with `code`, and has already said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def run(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> Result:
    """Ask a question: run `argv` in the root, captured, under --dry as well."""
    if mode.echo:
        show(argv)
    try:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=env,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        return Result(127, "", f"{argv[0]}: not found")
    except subprocess.TimeoutExpired:
        return Result(124, "", f"{argv[0]}: no answer within {timeout} s")
    return Result(exit_code(done.returncode), done.stdout, done.stderr)


def attach(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, progress: bool = False
) -> int:
    """Show `argv` and run it in the root on our own stdin, stdout and stderr; the exit code.

    Where its stdout is mere `progress` it goes to stderr. Under --dry the command is shown only.
    """
    show(argv)
    if mode.dry:
        return 0
    sys.stdout.flush()
    try:
        child = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=sys.stderr if progress else None)
    except FileNotFoundError:
        return 127
    with _sigterm_passed_to(child):
        return exit_code(_wait(child))


def attach_or_fail(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, progress: bool = False
) -> None:
    """`attach`, and `ChildFailed` with the child's exit code where that is not 0."""
    code = attach(argv, env=env, progress=progress)
    if code:
        raise ChildFailed(code)


def show(argv: Sequence[str]) -> None:
    """Print a command as one would type it: dim, on stderr, so that pipes stay clean."""
    line = shlex.join(argv)
    dim = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(f"\033[2m{line}\033[0m" if dim else line, file=sys.stderr, flush=True)


def on_a_terminal() -> bool:
    """Whether a child may be given a TTY: only when stdin and stdout both are one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def exit_code(returncode: int) -> int:
    """A shell's exit code: 128+n for a child killed by signal n."""
    return 128 - returncode if returncode < 0 else returncode


def _wait(child: subprocess.Popen[bytes]) -> int:
    # Ctrl-C reaches the child from the terminal as well: the child decides what it means.
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


@contextmanager
def _sigterm_passed_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(signum: int, frame: FrameType | None) -> None:
        child.send_signal(signum)

    before = signal.signal(signal.SIGTERM, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
