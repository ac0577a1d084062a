"""The port is another's, or the checkout is a copy: each works, with a URL and data of its own."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import checkout
import pytest
from machine import git
from stacks import Checkout, Docker, Embedded, Make, Runtime, docker

from djup.host import packages

LISTENER = """\
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print(flush=True)
    time.sleep(600)
"""
MADE_FOR_ONE = ("COMPOSE_PROJECT_NAME", "WEB_PORT", "MAIL_PORT", "CHECKOUT")


def has_engine() -> bool:
    return docker("version", check=False).returncode == 0


def some_port() -> int:
    """One that is free, and not of those that checkouts take."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def program(port: int) -> Iterator[str]:
    """A process that listens, and how it is called."""
    argv = [sys.executable, "-c", LISTENER, str(port)]
    with subprocess.Popen(argv, cwd="/", stdout=subprocess.PIPE) as listener:
        assert listener.stdout
        listener.stdout.readline()
        try:
            yield f"process {listener.pid} (python"
        finally:
            listener.kill()


@contextmanager
def container(port: int) -> Iterator[str]:
    """A container of somebody else's that publishes the port, and how it is called."""
    if not has_engine():
        pytest.skip("the Docker engine does not answer")
    name = f"somebody-else-on-{port}"
    flags = ["--detach", "--init", "--name", name, "--publish", f"127.0.0.1:{port}:80"]
    docker("run", *flags, "--entrypoint", "sleep", "postgres:18-alpine", "600")
    try:
        yield f"the container {name}"
    finally:
        docker("rm", "--force", "--volumes", name)


def without(text: str, *keys: str) -> list[str]:
    """The lines of an .env, less those of these keys."""
    return [line for line in text.splitlines() if line.partition("=")[0] not in keys]


def apply_fix(stack: Checkout, said: str) -> None:
    """Type what the screen says: the page is on a new port, and nothing else has changed."""
    before = (stack.root / ".env").read_text()
    found = re.search(r"  fix: inv up --port (\d+) ", said)
    assert found, said
    assert stack.inv("up", "--port", found[1]).stdout == f"http://127.0.0.1:{found[1]}/\n"
    assert stack.values["WEB_PORT"] == found[1]
    after = (stack.root / ".env").read_text()
    assert without(after, "WEB_PORT") == without(before, "WEB_PORT")
    stack.assert_kept()


@pytest.mark.fault("NET01", "docker", "embedded")
@pytest.mark.parametrize("hold", [program, container])
def test_a_port_that_is_taken(
    stack: Checkout, hold: Callable[[int], AbstractContextManager[str]]
) -> None:
    port = some_port()
    stack.set("WEB_PORT", str(port))
    with hold(port) as holder:
        said = stack.refused("NET01")
        assert f"port {port} is in use by {holder}" in said
        apply_fix(stack, said)


@pytest.mark.fault("NET03", "docker", "embedded")
def test_the_port_of_the_debugger_is_taken(stack: Checkout) -> None:
    port = some_port()
    stack.set("DEBUG_PORT", str(port))
    with program(port) as holder:
        said = stack.refused("NET03", "up", "--debug")
        assert f"port {port}, where editors attach, is in use by {holder}" in said
    stack.assert_kept()


@pytest.mark.fault("NET01", "docker", "embedded")
def test_a_port_that_was_taken_while_the_web_was_down(stack: Checkout) -> None:
    stack.inv("down")
    port = stack.values["WEB_PORT"]
    with program(int(port)):
        assert stack.found_by_doctor() == {"NET01"}
        fixed = stack.inv("doctor", "--fix")
        assert stack.values["WEB_PORT"] != port
        assert f"fixing NET01: writes WEB_PORT={stack.values['WEB_PORT']}" in fixed.stderr
        stack.inv("up")
        stack.assert_kept()


@pytest.fixture(scope="module")
def neighbours(make: Make) -> list[Checkout]:
    """Other checkouts that are up, one on each runtime that this machine has."""
    runtimes: list[Runtime] = [Docker()] if has_engine() else []
    if packages.is_installed("embedded"):
        runtimes.append(Embedded())
    stacks = []
    for runtime in runtimes:
        stacks.append(stack := make(runtime, name="neighbour"))
        stack.inv("up")
        stack.sql(f"create table own as select '{stack.url}' as text")
    return stacks


@pytest.mark.fault("NET01", "docker", "embedded")
def test_a_port_of_another_checkout(stack: Checkout, neighbours: list[Checkout]) -> None:
    said = ""
    for other in neighbours:
        stack.set("WEB_PORT", other.values["WEB_PORT"])
        said = stack.refused("NET01")
        assert f"is in use by the checkout at {other.root}" in said
    apply_fix(stack, said)
    # Each of them works, with a URL and rows of its own.
    assert len({stack.url, *(other.url for other in neighbours)}) == 1 + len(neighbours)
    for other in neighbours:
        assert other.get()[0] == 200
        assert other.sql("select text, to_regclass('kept') is null from own") == f"{other.url}|t"


@pytest.fixture
def adopt(runtime: Runtime) -> Iterator[Callable[[Path], Checkout]]:
    """Makes a `Checkout` of a folder; removes it, and what is its own, after the test."""
    found: list[Checkout] = []

    def adopted(root: Path) -> Checkout:
        found.append(Checkout(root, runtime))
        return found[-1]

    yield adopted
    for stack in found:
        if (stack.root / ".env").exists() and stack.values["CHECKOUT"] == str(stack.root):
            stack.runtime.remove(stack.root)
        shutil.rmtree(stack.root)


@pytest.fixture
def repository(stack: Checkout) -> Iterator[Checkout]:
    """The stack's folder as a git repository with a commit."""
    git(stack.root, "init")
    git(stack.root, "add", "--all")
    git(stack.root, "commit", "--message", "All of it")
    yield stack
    shutil.rmtree(stack.root / ".git")


def test_a_git_worktree(repository: Checkout, adopt: Callable[[Path], Checkout]) -> None:
    git(repository.root, "worktree", "add", "../worktree")
    tree = adopt(repository.root.with_name("worktree"))
    assert not (tree.root / ".env").exists()
    checkout.lend_venv(tree.root)
    tree.inv("status")
    tree.set("RUNTIME", tree.runtime.name)
    assert tree.inv("up").stdout == f"{tree.url}\n" != f"{repository.url}\n"
    tree.sql("create table kept as select 'of the tree' as text")
    assert tree.get()[0] == 200
    repository.assert_kept()
    tree.inv("nuke", "--yes", "--no-backup")
    repository.assert_kept()


@pytest.mark.fault("ENV09", "docker", "embedded")
@pytest.mark.parametrize("is_up", [True, False], ids=["of-one-that-is-up", "of-one-that-is-down"])
def test_a_copy_with_its_env(
    stack: Checkout, adopt: Callable[[Path], Checkout], is_up: bool
) -> None:
    stack.inv(*(("psql", "--", "-c", "checkpoint") if is_up else ("down",)))
    copy = adopt(stack.root.with_name("copy"))
    subprocess.run(["cp", "-a", stack.root, copy.root], check=True)
    copied = (copy.root / ".env").read_text()
    for typed in ("status", "psql", "down", "nuke --yes") if is_up else ("db.password",):
        said = copy.refused("ENV09", *typed.split())
        assert f"was copied from {stack.root}" in said and "fix: inv up " in said
    assert copy.found_by_doctor() == {"ENV09"}

    assert f"was copied from {stack.root}" in copy.inv("up").stderr
    stack.inv("up")
    assert all(copy.values[key] != stack.values[key] for key in MADE_FOR_ONE)
    text = (copy.root / ".env").read_text()
    assert without(text, *MADE_FOR_ONE) == without(copied, *MADE_FOR_ONE)
    copy.sql("create table own as select 'own' as text")
    assert copy.get()[0] == 200
    assert stack.sql("select to_regclass('own') is null") == "t"
    copy.inv("nuke", "--yes", "--no-backup")
    stack.assert_kept()


@pytest.mark.fault("ENV09", "docker", "embedded")
def test_a_folder_that_was_moved_is_no_copy(stack: Checkout) -> None:
    before, project = stack.root, stack.project
    moved = Checkout(before.rename(before.with_name("moved")), stack.runtime)
    try:
        assert f"this folder was moved from {before}" in moved.inv("up").stderr
        moved.assert_kept()
        assert (moved.values["CHECKOUT"], moved.project) == (str(moved.root), project)
        assert moved.found_by_doctor() == set()
    finally:
        moved.root.rename(before)
