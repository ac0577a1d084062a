"""Servers that were lost sight of: their folder was renamed, or `.data` or `.state` deleted."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import Checkout, Embedded, Make, eventually, is_alive

from djup.postgres import local_server


@pytest.fixture(scope="module")
def own(make: Make, embedded_runtime: Embedded) -> Iterator[Checkout]:
    """A checkout whose folders may be moved and deleted."""
    stack = make(embedded_runtime, name="lost")
    stack.inv("service.add", "worker")
    yield stack
    stack.inv("down", code=None)


@pytest.fixture
def up(own: Checkout) -> Checkout:
    """It, up and with a row."""
    own.inv("up")
    own.sql("drop table if exists kept")
    own.keep()
    return own


def numbers(stack: Checkout) -> list[int]:
    """The processes of the services."""
    locks = (stack.root / ".state" / f"{name}.lock" for name in ("db", "web", "worker"))
    return [int(lock.read_text()) for lock in locks]


def assert_ended(processes: list[int]) -> None:
    eventually(lambda: not any(map(is_alive, processes)), 5, "what ran before has ended")


def assert_told(stack: Checkout) -> None:
    """Each task that would work in vain says so, and doctor as well."""
    assert stack.found_by_doctor() == {"EMB08"}
    assert "no longer tracked" in stack.inv("status").stdout


def renamed(stack: Checkout, name: str) -> Checkout:
    return Checkout(stack.root.rename(stack.root.with_name(name)), stack.runtime)


@pytest.mark.fault("EMB08", "embedded")
@pytest.mark.fault("EMB09", "embedded")
def test_a_folder_renamed_while_it_is_up(up: Checkout, make: Make) -> None:
    before = numbers(up)
    moved = renamed(up, "moved")
    try:
        assert_told(moved)
        moved.refused("EMB08", "psql", "--", "-c", "select 1")
        shutil.copytree(
            moved.root, up.root, ignore=lambda *_: (".data", ".state", ".env"), symlinks=True
        )
        said = up.refused("EMB09", "up", "--runtime", "embedded")
        assert f"process {before[0]} is the database of {moved.root}" in said
        assert "EMB09" in up.found_by_doctor()
        shutil.rmtree(up.root)
        moved.inv("up")
        moved.sql("checkpoint")  # writes by the path that the server was started with
        moved.assert_kept()
        assert_ended(before)
        before = numbers(moved)
    finally:
        moved.root.rename(up.root)
    up.inv("down")
    assert_ended(before)
    up.inv("up")
    up.assert_kept()
    assert up.found_by_doctor() == set()


@pytest.mark.fault("EMB08", "embedded")
@pytest.mark.fault("BAK16", "embedded")
def test_notes_that_were_deleted_while_it_is_up(up: Checkout) -> None:
    for typed in ("up", "down"):
        before = numbers(up)
        shutil.rmtree(up.root / ".state")
        assert_told(up)
        up.refused("EMB08", "db.backup")
        assert "inv down" in up.refused("BAK16", "nuke", "--yes")
        assert all(map(is_alive, before))
        up.inv(typed)
        assert_ended(before)
    up.inv("up")
    up.assert_kept()


def test_data_that_were_deleted_while_it_is_up(up: Checkout) -> None:
    for typed in (["up"], ["down"], ["nuke", "--yes"]):
        up.inv("up")
        before = numbers(up)
        shutil.rmtree(up.root / ".data")
        # It looks for its notes once a minute, and then ends by itself.
        assert up.found_by_doctor() in ({"EMB08"}, {"RUN01"})
        up.inv(*typed)
        assert_ended(before[:1])
    up.inv("up")
    assert up.get("readyz")[0] == 200 and up.found_by_doctor() == set()


def test_all_that_git_ignores_was_deleted_while_it_is_up(
    up: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")  # so that it is embedded again
    before = numbers(up)
    clean(up)
    assert "no longer tracked" in up.inv("status").stdout  # makes .env, as any task does
    assert "EMB08" in up.found_by_doctor()
    (up.root / ".env").unlink()
    up.inv("up")
    assert_ended(before)
    assert up.get("readyz")[0] == 200 and up.found_by_doctor() == set()


def clean(stack: Checkout) -> None:
    """`git clean -fdx`, but for `.venv`."""
    for name in (".state", ".data"):
        shutil.rmtree(stack.root / name)
    (stack.root / ".env").unlink()


@pytest.mark.fault("EMB03", "embedded")
@pytest.mark.fault("BAK16", "embedded")
def test_a_server_that_somebody_else_started(up: Checkout) -> None:
    up.inv("down")
    data, who = up.root / ".data" / "18" / "main", local_server.account()
    account = {"user": who.uid, "group": who.gid, "extra_groups": ()} if who else {}
    programs = Path(local_server.binaries(who))
    argv = [programs / "postgres", "-D", data, "-k", data.parents[1] / "socket", "-h", ""]
    with subprocess.Popen(argv, cwd=data, stderr=subprocess.PIPE, text=True, **account) as theirs:
        try:
            assert theirs.stderr
            next(line for line in theirs.stderr if "ready to accept connections" in line)
            for code, *typed in (("EMB03", "up"), ("EMB03", "down"), ("BAK16", "nuke", "--yes")):
                assert f"kill -INT {theirs.pid}" in up.refused(code, *typed)
            assert "EMB03" in up.found_by_doctor() and is_alive(theirs.pid)
        finally:
            os.kill(theirs.pid, signal.SIGINT)
    up.inv("up")
    up.assert_kept()
