"""The data tasks while the database is used, on a full disk, and with a clock that is off."""

import fcntl
import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
from machine import FAKETIME, needs_faketime, needs_root
from sessions import session
from stacks import Checkout, needs_notes

NOTES = "select string_agg(text, ',' order by id) from notes_note where text ~ '^note'"


@pytest.fixture
def stack(nothing_aside: Checkout) -> Checkout:
    return nothing_aside


@contextmanager
def writing(stack: Checkout) -> Iterator[list[str]]:
    """Two browsers that post notes as fast as they can; the texts that were taken."""
    taken: list[str] = []
    over, numbers = threading.Event(), itertools.count()

    def write() -> None:
        while not over.is_set():
            text = f"note{next(numbers)}"
            try:
                if stack.post_note(text) == 200:
                    taken.append(text)
            except (URLError, OSError, AssertionError):
                pass  # a page that fails while the databases are swapped has taken nothing

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        over.set()
        for thread in threads:
            thread.join()


@needs_notes
def test_a_restore_while_the_web_writes(stack: Checkout) -> None:
    """And while somebody sits in a transaction. No note that was taken is in neither database."""
    path = Path(stack.inv("db.backup").stdout.strip())
    stack.sql("update kept set text = 'changed'")
    with session(stack) as idle, writing(stack) as taken:
        idle.ask("begin; select count(*) from kept;")
        while len(taken) < 5:
            pass
        stack.inv("db.restore", path.stem)
        so_far = len(taken)
        while len(taken) < so_far + 5:
            pass
    stack.assert_kept()
    after = stack.sql(NOTES).split(",")
    stack.inv("undo")
    assert stack.sql("select text from kept") == "changed"
    before = stack.sql(NOTES).split(",")
    assert set(taken) <= {*before, *after} and not {*before} & {*after}
    assert taken[0] in before and taken[-1] in after
    stack.inv("undo")
    stack.sql("delete from notes_note where text ~ '^note'")


def test_two_backups_at_once(stack: Checkout) -> None:
    before = len(stack.backups())
    with (stack.root / ".state" / "lock").open() as held:  # as a third task does
        fcntl.flock(held, fcntl.LOCK_EX)
        children = [stack.start("db.backup") for _ in range(2)]
        for child in children:
            assert child.stderr and "in this checkout to finish" in child.stderr.readline()
    ends = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], ends
    assert len(stack.backups()) == before + 2 and ends[0][0] != ends[1][0]


@needs_faketime
def test_a_clock_that_was_set_back(stack: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest backup is the one that was made last, whatever its time says."""
    stack.inv("db.backup")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", "-3d")
    made = Path(stack.inv("db.backup").stdout.strip()).name
    monkeypatch.undo()
    first, second = stack.backups()[:2]
    assert first["dump"] == made and first["created"] < second["created"]
    stack.inv("db.backups", "--keep", "1")
    assert [one["dump"] for one in stack.backups()] == [made]


@needs_root
@pytest.mark.fault("SYS02", "docker", "embedded")
@pytest.mark.fault("BAK16", "docker", "embedded")
def test_a_full_disk_for_the_backups(stack: Checkout) -> None:
    folder = stack.root / "backups"
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", folder], check=True
    )
    try:
        said = stack.refused("SYS02", "db.backup")
        assert "no space left on the disk that was written to" in said
        assert "then run the same command again" in said
        assert not any(folder.iterdir()) and stack.backups() == []
        assert "no space left on the disk" in stack.refused("BAK16", "nuke", "--yes")
    finally:
        subprocess.run(["umount", folder], check=True)
