"""The two doors to other programs, with real small programs behind them."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from checkout import SOURCE

from djup import ROOT
from djup.host import process
from djup.host.process import ChildFailed
from djup.terminal.task import RunningTask, task, this_task

FOLDER = ROOT / SOURCE  # where `python -c` finds djup


@pytest.fixture(autouse=True)
def called() -> Iterator[RunningTask]:
    """How the task was called; the test may change it."""
    with task("up", dry=False, echo=False):
        yield this_task


CODES = [
    ("exit 0", 0),
    ("exit 1", 1),
    ("exit 3", 3),
    ("exit 255", 255),
    ("kill -KILL $$", 137),
    ("kill -TERM $$", 143),
]


@pytest.mark.parametrize(("script", "code"), CODES)
def test_run_gives_the_exit_code(script: str, code: int) -> None:
    assert process.run(["sh", "-c", script]).code == code


@pytest.mark.parametrize(("script", "code"), CODES)
def test_attach_gives_the_exit_code(script: str, code: int) -> None:
    assert process.attach(["sh", "-c", script]) == code


def test_attach_or_fail() -> None:
    process.attach_or_fail(["true"])
    with pytest.raises(ChildFailed) as caught:
        process.attach_or_fail(["sh", "-c", "exit 7"])
    assert caught.value.code == 7


def test_a_program_that_is_not_there() -> None:
    assert process.run(["no-such-program"]).code == 127
    assert process.attach(["no-such-program"]) == 127


def test_run_captures_both_in_the_root_with_no_stdin() -> None:
    result = process.run(["sh", "-c", "pwd; echo oh >&2; cat"])
    assert (result.out, result.err) == (f"{ROOT}\n", "oh\n")


def test_run_survives_output_that_is_not_utf8() -> None:
    assert process.run(["printf", r"a\377b"]).out == "a\ufffdb"


def test_run_that_is_given_up_has_what_came() -> None:
    done = process.run(["sh", "-c", "echo said; sleep 9"], timeout=0.5)
    assert (done.code, done.out) == (process.SILENT, "said\n")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("for n in 1 2 3 4; do sleep 0.2; echo out; echo err >&2; done; exit 5", 5),
        ("for n in 1 2 3 4; do echo out; echo err >&2; done; sleep 9", process.SILENT),
    ],
)
def test_collect_ends_what_has_no_more_to_say(script: str, code: int) -> None:
    done = process.collect(["sh", "-c", script], silence=0.6)
    assert (done.code, done.out) == (code, "out\nerr\n" * 4)


def test_attach_shows_the_command_as_one_would_type_it(capfd: pytest.CaptureFixture[str]) -> None:
    process.attach(["echo", "a b", "it's", "$x"])
    out, err = capfd.readouterr()
    assert out == "a b it's $x\n"
    assert err == "echo 'a b' 'it'\"'\"'s' '$x'\n"


def test_run_is_shown_with_echo_only(
    capfd: pytest.CaptureFixture[str], called: RunningTask
) -> None:
    process.run(["echo", "one"])
    called.echo = True
    process.run(["echo", "two"])
    assert capfd.readouterr() == ("", "echo two\n")


def test_progress_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    script = "from djup.host import process; process.attach(['echo', 'out'], progress=True)"
    subprocess.run([sys.executable, "-c", script], cwd=FOLDER, check=True)
    assert capfd.readouterr() == ("", "echo out\nout\n")


def test_dry_shows_and_runs_nothing_but_questions(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], called: RunningTask
) -> None:
    called.dry = True
    assert process.attach(["touch", str(tmp_path / "file")]) == 0
    process.attach_or_fail(["false"])
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().err == f"touch {tmp_path}/file\nfalse\n"
    assert process.run(["echo", "asked"]).out == "asked\n"


def test_the_environment_is_the_one_given() -> None:
    assert process.run(["/usr/bin/env"], env={"A": "b"}).out == "A=b\n"


ASKED = ["sh", "-c", 'echo "${DOCKER_HOST:-} ${DOCKER_CONTEXT:-}" >> "$0"']


def by_talk(argv: list[str]) -> None:
    with process.talk(argv) as (asks, _, end):
        asks.close()
        end()


def by_beside(argv: list[str]) -> None:
    with process.beside(argv) as finish:
        finish()


DOORS = {
    "run": process.run,
    "attach": process.attach,
    "clean_up": process.clean_up,
    "collect": lambda argv: process.collect(argv, silence=5),
    "receive": lambda argv: process.receive(argv, lambda piece: None),
    "send": lambda argv: process.send(argv, lambda pipe: None),
    "talk": by_talk,
    "beside": by_beside,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("", "ssh://theirs theirs"),
        ("ssh://user@server", "ssh://user@server "),
        ("production", " production"),
    ],
)
def test_docker_goes_where_the_task_deploys_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str, engine: str, expected: str
) -> None:
    """By whichever door: what is exported may lead elsewhere."""
    monkeypatch.setenv("DOCKER_HOST", "ssh://theirs")
    monkeypatch.setenv("DOCKER_CONTEXT", "theirs")
    this_task.engine = engine
    DOORS[door]([*ASKED, str(tmp_path / "said")])
    assert (tmp_path / "said").read_text() == f"{expected}\n"
    assert os.environ["DOCKER_HOST"] == "ssh://theirs"


# Signals: a process of its own runs the attached child.


Attached = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def attached() -> Iterator[Attached]:
    """Gives a process that attaches `sh -c script`, begun: its script has said 'ready'."""
    groups: list[int] = []

    def start(script: str) -> subprocess.Popen[str]:
        code = "import sys; from djup.host import process; sys.exit(process.attach(sys.argv[1:]))"
        child = subprocess.Popen(
            # The pause lets the parent get from starting its child to waiting for it.
            [sys.executable, "-c", code, "sh", "-c", f"sleep 0.2; {script}"],
            cwd=FOLDER,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        groups.append(child.pid)
        assert child.stdout and child.stdout.readline() == "ready\n"
        return child

    yield start
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


WAIT = "echo ready; while :; do sleep 0.02; done"


def test_sigterm_is_passed_on_and_the_child_decides(attached: Attached) -> None:
    child = attached(f"trap 'echo got; exit 7' TERM; {WAIT}")
    child.send_signal(signal.SIGTERM)
    assert (child.communicate(timeout=5)[0], child.returncode) == ("got\n", 7)


def test_sigterm_that_the_child_does_not_handle(attached: Attached) -> None:
    child = attached("echo ready; exec sleep 5")
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=4) == 143


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_waits_for_a_child_that_takes_its_time(attached: Attached, times: int) -> None:
    # Longer than the quarter of a second after which subprocess.run would kill it.
    child = attached(f"trap 'trap \"\" INT; sleep 0.5; echo done; exit 5' INT; {WAIT}")
    for _ in range(times):
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.05)
    assert (child.communicate(timeout=5)[0], child.returncode) == ("done\n", 5)


def test_ctrl_c_that_the_child_does_not_handle(attached: Attached) -> None:
    child = attached("echo ready; exec sleep 5")
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(timeout=4) == 130


AGAIN = """
from collections import Counter
from djup.host import process

process.show = lambda argv: None
codes = Counter()
for _ in range(40):
    try:
        codes[process.attach(["sh", "-c", {script!r}])] += 1
    except KeyboardInterrupt:
        codes["not waited for"] += 1
print(dict(codes))
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        # Parent and child get it in the same moment: the status of the child must not be lost.
        ("sleep 0.02; kill -INT 0; sleep 5", {130: 40}),
        # At once, before the parent has come to wait.
        ("kill -INT $PPID; exit 7", {7: 40}),
    ],
)
def test_ctrl_c_at_any_moment(script: str, expected: dict[int, int]) -> None:
    argv = [sys.executable, "-c", AGAIN.format(script=script)]
    done = subprocess.run(argv, cwd=FOLDER, capture_output=True, text=True, start_new_session=True)
    assert done.stdout == f"{expected}\n"


CLEANS_UP = """
from djup.host import process
try:
    process.clean_up(["sh", "-c", "kill -INT $PPID; kill -INT 0; sleep 0.3; touch {done}"])
except KeyboardInterrupt:
    print("interrupted after it")
"""


def test_ctrl_c_waits_for_what_cleans_up(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CLEANS_UP.format(done=tmp_path / "done")]
    done = subprocess.run(argv, cwd=FOLDER, capture_output=True, text=True, start_new_session=True)
    assert done.stdout == "interrupted after it\n"


GOES_ON = """
import os, signal, threading
from djup.host import process
from djup.terminal.task import this_task
with process.unbroken() as held:
    for signum, seconds in ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.2), (signal.SIGHUP, 0.3)):
        threading.Timer(seconds, os.killpg, (os.getpgrp(), signum)).start()
    print(process.attach(["sh", "-c", "sleep 0.5; exit 7"]))
    print(process.run(["sh", "-c", "sleep 0.1; echo asked"]).out.strip())
print(sorted(map(int, held)), this_task.interrupted)
"""


def test_what_is_not_to_be_broken_off_nor_its_children() -> None:
    argv = [sys.executable, "-c", GOES_ON]
    done = subprocess.run(argv, cwd=FOLDER, capture_output=True, text=True, start_new_session=True)
    assert done.stdout == "7\nasked\n[1, 2, 15] False\n", done


HANGS_UP = """
import fcntl, signal, sys, termios, time
from pathlib import Path
from djup.cli import entry
from djup.terminal.task import this_task
fcntl.ioctl(0, termios.TIOCSCTTY)
signal.signal(signal.SIGHUP, entry._end)
try:
    print("begun", flush=True)
    time.sleep(20)
except SystemExit:
    signal.raise_signal(signal.SIGHUP)  # a shell sends one, and the kernel another
    print("going back", flush=True)
    print("going back", file=sys.stderr, flush=True)
    Path({done!r}).touch()
"""


def test_who_closes_the_terminal_does_not_end_what_cleans_up(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    argv = [sys.executable, "-c", HANGS_UP.format(done=str(tmp_path / "done"))]
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    child = subprocess.Popen(argv, cwd=FOLDER, start_new_session=True, **streams)
    os.close(slave)
    assert b"begun" in os.read(master, 100)
    os.close(master)
    child.wait(10)
    assert (tmp_path / "done").exists()


# Terminals


@pytest.mark.parametrize(
    ("stdin", "stdout", "expected"),
    [("tty", "tty", True), ("tty", "pipe", False), ("pipe", "tty", False), ("pipe", "pipe", False)],
)
def test_a_child_gets_a_tty_only_between_two(stdin: str, stdout: str, expected: bool) -> None:
    master, slave = pty.openpty()
    code = "import sys; from djup.host import process; sys.exit(process.on_a_terminal())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FOLDER,
        stdin=slave if stdin == "tty" else subprocess.DEVNULL,
        stdout=slave if stdout == "tty" else subprocess.DEVNULL,
    )
    os.close(master)
    os.close(slave)
    assert bool(done.returncode) is expected
