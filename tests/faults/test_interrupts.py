"""Ctrl-C and SIGTERM at any moment: the same command works again, and no row is lost."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ends import Child, End, ctrl_c, terminate
from stacks import Checkout, Make, Runtime

# When, as a share of the time that the command takes.
MOMENTS = [(0.15, terminate), (0.45, ctrl_c), (0.75, terminate)]
OPPOSITE = [(0.3, ctrl_c), (0.6, terminate), (0.9, ctrl_c)]
BEGUN = 0.5  # seconds in which the interpreter has certainly started; before it answers as it likes
ENDED = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


def interrupt(stack: Checkout, seconds: float, end: End, *typed: str) -> None:
    """`inv typed`, ended after some seconds."""
    child = stack.start(*typed)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        end(child)
    err = ended_by(child, end)
    if seconds > BEGUN:
        assert child.returncode in ENDED, f"{typed} after {seconds} s: {child.returncode}\n{err}"
        assert "Traceback" not in err, err


def ended_by(child: Child, end: End) -> str:
    """What it said. Compose at times hangs when it is interrupted in a build, until it is told
    three times: as often as somebody would who sees it hang."""
    for _ in range(2):
        try:
            return child.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            end(child)
    return child.communicate(timeout=30)[1]


def timed(stack: Checkout, *typed: str) -> float:
    started = time.monotonic()
    stack.inv(*typed)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def doomed(make: Make, runtime: Runtime) -> Checkout:
    """A checkout that is made and removed again and again."""
    return make(runtime, name="doomed")


@pytest.fixture(scope="module")
def lasts(doomed: Checkout) -> dict[str, float]:
    """How long each command takes here, in seconds."""
    found = {"first up": timed(doomed, "up"), "down": timed(doomed, "down")}
    found |= {"up": timed(doomed, "up"), "nuke": timed(doomed, "nuke", "--yes")}
    return found


@pytest.mark.parametrize(("share", "end"), MOMENTS)
def test_a_first_up_and_a_nuke(
    doomed: Checkout, lasts: dict[str, float], share: float, end: End
) -> None:
    interrupt(doomed, lasts["first up"] * share, end, "up")
    doomed.inv("up")
    doomed.keep()
    doomed.assert_kept()
    before = doomed.runtime.identities(doomed.root)

    interrupt(doomed, lasts["nuke"] * share, end, "nuke", "--yes")
    if before and doomed.runtime.identities(doomed.root) == before:
        doomed.inv("up")
        doomed.assert_kept()
    doomed.inv("nuke", "--yes", "--no-backup")
    assert doomed.runtime.leftovers(doomed.root) == {}


@pytest.mark.parametrize(("share", "end"), OPPOSITE)
def test_a_down_and_a_later_up(
    stack: Checkout, lasts: dict[str, float], share: float, end: End
) -> None:
    interrupt(stack, lasts["down"] * share, end, "down")
    stack.inv("down")
    assert stack.get()[0] == 0
    interrupt(stack, lasts["up"] * share, end, "up")
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("IMG05", "docker")
@pytest.mark.parametrize(("share", "end"), MOMENTS)
def test_a_build(stack: Checkout, share: float, end: End) -> None:
    """Of an image that is stale; the old one goes on serving."""
    file = "compose/web/Dockerfile"
    before = stack.write(file, f"{(stack.root / file).read_text()}# {share}\n")
    assert "IMG05" in stack.found_by_doctor()
    interrupt(stack, 1.5 * share, end, "build")
    assert stack.get()[0] == 200
    stack.inv("build")
    stack.assert_kept()
    stack.write(file, before)


@pytest.mark.parametrize("end", [ctrl_c, terminate])
def test_a_nuke_that_has_begun_leaves_the_data(stack: Checkout, end: End) -> None:
    """Whoever stops it while the services end does not want the data to go after them."""
    with slow_to_end(stack):
        nuke = stack.start("nuke", "--yes", "--no-backup")
        assert nuke.stderr
        first = {"docker": "docker container rm", "embedded": "kill -"}[stack.runtime.name]
        while first not in nuke.stderr.readline():
            assert nuke.poll() is None
        time.sleep(0.1)  # it is at work
        end(nuke)
        err = nuke.communicate(timeout=30)[1]
    assert nuke.returncode in (130, 143) and "Traceback" not in err, err
    stack.inv("up")
    stack.assert_kept()


@contextmanager
def slow_to_end(stack: Checkout) -> Iterator[None]:
    """The embedded services, which else may have ended within a tenth of a second."""
    numbers = stack.runtime.identities(stack.root) if stack.runtime.name == "embedded" else set()
    for number in numbers:
        os.kill(int(number), signal.SIGSTOP)
    try:
        yield
    finally:
        for number in numbers:
            os.kill(int(number), signal.SIGCONT)


def test_an_up_within_an_up(stack: Checkout) -> None:
    stack.set("MAIL_HOST", "mail.example.org")  # so that there is something to do
    first, second = stack.start("up"), stack.start("up")
    ends = [child.communicate(timeout=60) for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0], ends
    assert [out for out, _ in ends] == [f"{stack.url}\n"] * 2
    assert sum("in this checkout to finish" in err for _, err in ends) == 1, ends
    stack.assert_kept()
