"""Uploads in backups and restores that are ended in their midst, damaged, or not whole."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from stacks import Checkout, Make, Runtime, docker, eventually, needs_notes

# Holds the lock of what works on the folders, from the line on stdin to its end.
HOLD = """
import fcntl, sys
file = open("../.lock", "a")
print("there", flush=True)
sys.stdin.readline()
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stack(nothing_aside: Checkout) -> Iterator[Checkout]:
    """The shared one, with an upload that is in its backups."""
    nothing_aside.attach("one.txt", "old")
    yield nothing_aside
    nothing_aside.files("rm -rf ./* ../beside")
    nothing_aside.sql("update kept set text = 'kept'; truncate notes_note")


def backup(stack: Checkout) -> Path:
    return Path(stack.inv("db.backup").stdout.strip())


def state(stack: Checkout) -> tuple[str, str]:
    return stack.sql("select text from kept"), stack.files("find . -type f -exec cat {} +")


def change(stack: Checkout) -> None:
    stack.sql("update kept set text = 'changed'")
    stack.files('for file in */*/*/*; do printf new >"$file.new"; mv "$file.new" "$file"; done')


@contextmanager
def holder(stack: Checkout) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of the folders once it is told to."""
    child = stack.beside_uploads("python3", "-c", HOLD)
    assert child.stdin and child.stdout and child.stdout.readline() == "there\n"
    try:
        yield child
    finally:
        child.communicate(timeout=20)


def hold(child: "subprocess.Popen[str]") -> None:
    assert child.stdin and child.stdout
    child.stdin.write("now\n")
    child.stdin.flush()
    assert child.stdout.readline() == "held\n"


def is_swapped(stack: Checkout) -> bool:
    """Whether the other database is there; the swap ends the session of who asks meanwhile."""
    with suppress(AssertionError):
        return stack.sql("select text from kept") == "kept"
    return False


@needs_notes
def test_a_restore_that_is_killed_between_the_two_swaps(stack: Checkout) -> None:
    path = backup(stack)
    change(stack)
    note = stack.root / ".state" / "files.json"
    with holder(stack) as lock:
        child = stack.start("db.restore", path.stem)
        while not note.exists():
            assert child.poll() is None
        hold(lock)
        eventually(lambda: is_swapped(stack), 20, "databases swapped")
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        assert state(stack) == ("kept", "new")
    stack.inv("up")
    assert state(stack) == ("kept", "old") and not note.exists()
    stack.inv("undo")
    assert state(stack) == ("changed", "new")


@needs_notes
def test_a_restore_that_is_killed_while_it_unpacks(stack: Checkout) -> None:
    path = backup(stack)
    change(stack)
    with holder(stack) as lock:
        hold(lock)
        child = stack.start("db.restore", path.stem)
        assert child.stderr
        while " unpack " not in child.stderr.readline():
            assert child.poll() is None
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    assert state(stack) == ("changed", "new")
    stack.inv("db.restore", path.stem)
    assert state(stack) == ("kept", "old")
    assert "part" not in stack.files("ls ..")


@needs_notes
@pytest.mark.fault("BAK19", "docker", "embedded")
def test_a_folder_that_cannot_be_made(stack: Checkout) -> None:
    before = stack.snapshots()
    stack.files("rm -rf ../beside; touch ../beside")
    assert "beside" in stack.refused("BAK19", "db.snapshot", "--name", "half")
    assert stack.snapshots() == before
    stack.files("rm ../beside")
    stack.inv("db.snapshot", "--name", "whole")


@needs_notes
@pytest.mark.fault("BAK20", "docker", "embedded")
@pytest.mark.fault("BAK22", "docker", "embedded")
def test_an_archive_that_is_not_what_the_manifest_says(stack: Checkout) -> None:
    path = backup(stack)
    change(stack)
    manifest = path.with_suffix(".json")
    record = json.loads(manifest.read_text())
    record["files"]["count"] += 1
    manifest.write_text(json.dumps(record))
    assert "1 files of 3 bytes" in stack.refused("BAK20", "db.restore", path.stem)
    path.with_name(f"{path.stem}{record['files']['suffix']}").unlink()
    stack.refused("BAK22", "db.restore", path.stem)
    assert state(stack) == ("changed", "new")
    stack.inv("db.restore", path.stem, "--no-files")
    assert state(stack) == ("kept", "new")


@needs_notes
@pytest.mark.fault("BAK21", "docker", "embedded")
def test_a_file_that_a_row_names_and_nobody_has(stack: Checkout) -> None:
    stack.files("rm */*/*/*")
    said = stack.refused("BAK21", "db.backup", "--verify")
    assert "1 of 1 files" in said and "one" in said and not stack.backups()[0]["verified"]


def test_a_nuke_leaves_uploads_that_no_backup_has(make: Make, runtime: Runtime) -> None:
    """Without a database there is nothing to back up, and so none of the files is removed."""
    stack = make(runtime, name="alone")
    stack.inv("mail")  # writes .env
    if runtime.name == "docker":
        labels = (f"com.docker.compose.project={stack.project}", "com.docker.compose.volume=media")
        named = [word for label in labels for word in ("--label", label)]
        there = f"{stack.project}_media"
        docker("volume", "create", *named, there)
    else:
        folder = stack.root / ".data" / "media" / "files"
        folder.mkdir(parents=True)
        (folder / "one.txt").write_text("old")
        there = str(stack.root / ".data")
    assert there in stack.inv("nuke", "--yes").stderr
    assert stack.runtime.leftovers(stack.root) == {"volume": [there]}
