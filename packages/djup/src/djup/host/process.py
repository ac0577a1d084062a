"""The doors to other programs: `run` captures, `attach` hands over the terminal, `collect` waits
for what has more to say;
`receive` and `send` stream bytes in constant memory, `talk` holds a conversation."""

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from djup import ROOT
from djup.terminal import hangup
from djup.terminal.task import this_task

HOST, CONTEXT = "DOCKER_HOST", "DOCKER_CONTEXT"


SILENT = 124
CLEAN_UP_SECONDS = 60
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a child that was


@dataclass(frozen=True)
class Result:
    """What a captured command came to; as in a shell 127 is no such program, 126 one that cannot be
    run; 124 (SILENT) is no answer in time, and `out` what came until then."""

    code: int
    out: str
    err: str


class ChildFailed(Exception):
    """An attached command ended with `code`, and has already said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Interrupted(ChildFailed):
    """A command ended because it was told to, as we do."""


def environment(given: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """What a child gets: this, or our own; where a task deploys, with the engine that docker is to
    go to."""
    own = os.environ if given is None else given
    if not this_task.engine:
        return own
    variable = HOST if "://" in this_task.engine else CONTEXT
    others = {key: value for key, value in own.items() if key not in (HOST, CONTEXT)}
    return others | {variable: this_task.engine}


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    stdin: str = "",
    merged: bool = False,
) -> Result:
    """Ask a question: run `argv` in `cwd`, or the root, captured, under --dry as well.

    `merged` has stderr in `out` too, in the order in which both came.
    """
    if this_task.echo:
        show(argv)
    try:
        done = _captured(argv, environment(env), cwd or ROOT, timeout, stdin, merged)
    except OSError as error:
        return Result(_cannot_run(error), "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired as late:
        came = (late.stdout or b"").decode(errors="replace")  # bytes even of a text
        return Result(SILENT, came, f"{argv[0]}: no answer within {timeout} s")
    return Result(exit_code(done.returncode), done.stdout, done.stderr or "")


def _captured(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    timeout: float | None,
    stdin: str,
    merged: bool,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        timeout=timeout,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=this_task.unbroken,
        pass_fds=this_task.held,
    )


@contextmanager
def unbroken() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and the end of the terminal wait: neither we nor the children that the block
    starts hear of them. Yields those that came, for whoever wants to obey them after."""
    held: list[int] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        held.append(signum)
        hangup.hear(signum)

    was = this_task.unbroken
    before = {n: signal.signal(n, hold) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    this_task.unbroken = True
    try:
        yield held
    finally:
        this_task.unbroken = was
        for signum, handler in before.items():
            signal.signal(signum, handler)


def clean_up(argv: Sequence[str]) -> None:
    """Run `argv`, whatever it comes to; Ctrl-C, which strikes while one cleans up, waits."""
    if this_task.dry:
        show(argv)
        return
    with unbroken() as held:
        run(argv, timeout=CLEAN_UP_SECONDS)
    if held:
        signal.raise_signal(held[0])


def attach(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    progress: bool = False,
    out: IO[str] | None = None,
    err: IO[str] | None = None,
) -> int:
    """Show `argv` and run it in `cwd` on our own stdin, stdout and stderr; the exit code.

    Where its stdout is mere `progress` it goes to stderr; `out` and `err` are files that take the
    place of ours. Under --dry the command is shown only.
    """
    show(argv)
    if this_task.dry:
        return 0
    sys.stdout.flush()
    code = _attached(argv, environment(env), cwd, out or (sys.stderr if progress else None), err)
    # Interrupted while it connects to the engine, docker ends with this.
    return 128 + signal.SIGINT if code == 255 and this_task.interrupted else code


def _attached(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    out: IO[str] | None,
    err: IO[str] | None,
) -> int:
    """Run `argv` to its end, with the signals left to it; its exit code."""
    with _signals_left_to_the_child() as started:
        try:
            child = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdout=out,
                stderr=err,
                start_new_session=this_task.unbroken,
                pass_fds=this_task.held,
            )
        except OSError as error:
            print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
            return _cannot_run(error)
        started(child)
        return exit_code(child.wait())


def attach_or_fail(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    progress: bool = False,
) -> None:
    """`attach`, and `ChildFailed` with the child's exit code where that is not 0."""
    code = attach(argv, env=env, cwd=cwd, progress=progress)
    if progress:  # a step of ours: of what is the user's own, a Ctrl-C is the usual end
        stop_if_interrupted(code)
    if code:
        raise ChildFailed(code)


PIECE = 1 << 20  # bytes; what a pipe can hold at most


def collect(argv: Sequence[str], silence: float) -> Result:
    """Show and run `argv`; what it writes on both streams, captured.

    The code is SILENT where it does not end and has said nothing for `silence` seconds.
    """
    show(argv)
    said = bytearray()
    with _ended(_open(argv, None, subprocess.DEVNULL, subprocess.STDOUT)) as child:
        assert child.stdout
        code = SILENT
        while select.select([child.stdout], [], [], silence)[0]:
            if not (piece := os.read(child.stdout.fileno(), PIECE)):
                code = exit_code(child.wait())
                break
            said += piece
    return Result(code, said.decode(errors="replace"), "")


def receive(
    argv: Sequence[str],
    take: Callable[[bytes], object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Result:
    """Show and run `argv`, and hand each piece of its stdout to `take` as it comes."""
    show(argv)
    with (
        tempfile.TemporaryFile() as err,
        _ended(_open(argv, env, subprocess.DEVNULL, err, cwd=cwd)) as child,
    ):
        assert child.stdout
        while piece := os.read(child.stdout.fileno(), PIECE):
            take(piece)
        return Result(exit_code(child.wait()), "", _text(err))


def send(
    argv: Sequence[str],
    feed: Callable[[IO[bytes]], object],
    *,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Show and run `argv`, and have `feed` write to its stdin; its stdout is captured.

    Where it ends before it has read all, the rest stays unwritten.
    """
    show(argv)
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _ended(_open(argv, env, subprocess.PIPE, err, out)) as child,
    ):
        assert child.stdin
        with suppress(BrokenPipeError), child.stdin:
            feed(child.stdin)
        return Result(exit_code(child.wait()), _text(out), _text(err))


@contextmanager
def talk(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None
) -> Iterator[tuple[IO[bytes], IO[bytes], Callable[[], Result]]]:
    """Run `argv` for a conversation: its stdin, its stdout, and what gives its end's Result."""
    if this_task.echo:
        show(argv)
    with tempfile.TemporaryFile() as err, _ended(_open(argv, env, subprocess.PIPE, err)) as child:
        assert child.stdin and child.stdout
        yield (
            child.stdin,
            child.stdout,
            lambda: Result(exit_code(child.wait()), "", _text(err)),
        )


@contextmanager
def beside(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None
) -> Iterator[Callable[[], int]]:
    """Run `argv` while the block runs, with its output held back until it gives the exit code.

    Ctrl-C reaches it from the terminal, and SIGTERM through us: it ends as it wants to.
    """
    show(argv)
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            argv, cwd=ROOT, env=environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )

        try:
            yield lambda: _finished(argv, child, out)
        except KeyboardInterrupt:  # it has had one as well, and cleans up
            child.wait()
            raise
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def _finished(argv: Sequence[str], child: subprocess.Popen[bytes], out: IO[bytes]) -> int:
    """Wait for a child, and print what it has written to `out`; its exit code."""
    show(argv)
    code = exit_code(child.wait())
    out.seek(0)
    shutil.copyfileobj(out, sys.stdout.buffer)
    sys.stdout.flush()
    return code


def _open(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    stdin: int,
    err: IO[bytes] | int,
    out: IO[bytes] | int = subprocess.PIPE,
    cwd: Path = ROOT,
) -> subprocess.Popen[bytes]:
    # Of a session of its own, so that it is we who end it: after Ctrl-C there is more to undo.
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment(env),
        stdin=stdin,
        stdout=out,
        stderr=err,
        pipesize=PIECE,
        start_new_session=True,
        pass_fds=this_task.held,
    )


@contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Whatever happens, the child does not outlive us, and lets go of its pipes."""
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        child.wait()


def _text(file: IO[bytes]) -> str:
    """What a child has written, but no more of it than a person would read."""
    file.seek(0)
    return file.read(PIECE).decode(errors="replace")


def stop_if_interrupted(code: int) -> None:
    """`Interrupted` if a command ended because it was told to; docker's then have many codes."""
    if code in INTERRUPTED:
        raise Interrupted(code)
    if code and this_task.interrupted:
        raise Interrupted(128 + signal.SIGINT)


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


def _cannot_run(error: OSError) -> int:
    return 127 if isinstance(error, FileNotFoundError) else 126


class _Attached:
    """The child that signals are left to: Ctrl-C reaches it from the terminal, SIGTERM by us."""

    child: subprocess.Popen[bytes] | None = None
    stopping = False

    def started(self, child: subprocess.Popen[bytes]) -> None:
        """Note the child, and pass on a SIGTERM that came before."""
        self.child = child
        if self.stopping:
            child.terminate()

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        this_task.interrupted = True

    def stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = this_task.interrupted = True
        if self.child:
            self.child.terminate()


@contextmanager
def _signals_left_to_the_child() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Ctrl-C reaches the child from the terminal: it decides. SIGTERM is passed on to it.

    Handlers, and set before the child is there: an exception may strike between the child's end and
    the note of its exit code, or before we know of the child at all.
    """
    if this_task.unbroken:
        yield lambda process: None
        return
    attached = _Attached()
    handlers = {signal.SIGINT: attached.interrupt, signal.SIGTERM: attached.stop}
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield attached.started
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
