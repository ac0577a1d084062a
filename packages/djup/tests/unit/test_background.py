"""Processes that outlive the task: seen while they hold their lock, and never mistaken."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from djup.host.background import Background
from djup.problems import Problem


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Background]:
    made = Background("sleeper", tmp_path)
    yield made
    made.stop(signal.SIGKILL, 5)


def start(background: Background, *argv: str) -> None:
    background.start(argv or ("sleep", "60"), cwd=background.folder, env={"PATH": "/usr/bin:/bin"})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_runs_until_it_is_stopped(sleeper: Background) -> None:
    assert sleeper.pid() is None
    start(sleeper)
    assert sleeper.pid()
    assert sleeper.stop(signal.SIGTERM, 5)
    assert sleeper.pid() is None


def test_its_output_is_in_its_log(sleeper: Background) -> None:
    start(sleeper, "sh", "-c", "echo out; echo err >&2; exec sleep 60")
    until(lambda: sleeper.last_lines() == "out\nerr")


def test_one_that_ignores_the_signal_is_not_stopped(sleeper: Background) -> None:
    start(sleeper, "sh", "-c", "trap '' TERM; echo ready; exec sleep 60")
    until(lambda: sleeper.last_lines() == "ready")
    assert not sleeper.stop(signal.SIGTERM, 0.3)
    assert sleeper.pid()


def test_the_number_of_one_that_ended_is_never_signalled(sleeper: Background) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    sleeper.lock.write_text(str(bystander.pid))
    assert sleeper.pid() is None
    assert sleeper.stop(signal.SIGKILL, 1)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_one_of_a_container_that_has_the_folder_is_never_signalled(sleeper: Background) -> None:
    """Where the lock is seen, and the number is another program's."""
    start(sleeper)
    ours = sleeper.numbers.read_text()
    assert ours.startswith("pid:[")
    try:
        sleeper.numbers.write_text("pid:[1]")
        for ask in (sleeper.pid, lambda: sleeper.stop(signal.SIGKILL, 1)):
            with pytest.raises(Problem, match="EMB10"):
                ask()
    finally:
        sleeper.numbers.write_text(ours)
    assert sleeper.pid()
    sleeper.numbers.unlink()  # as an earlier version has left it
    assert sleeper.pid()


def test_two_that_ask_at_once_do_not_take_each_other_for_it(sleeper: Background) -> None:
    sleeper.lock.write_text("1")
    asking = (
        "import fcntl, sys; fcntl.flock(f := open(sys.argv[1]), fcntl.LOCK_SH); print(flush=True)"
    )
    other = subprocess.Popen(
        ["python3", "-c", asking + "; sys.stdin.read()", sleeper.lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout and other.stdout.readline()
    assert sleeper.pid() is None
    other.communicate()
