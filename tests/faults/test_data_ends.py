"""Backup, restore, snapshot, nuke and undo that are ended, or whose server is, in their midst.

The moments are made, not guessed: a lock is held that the task has to wait for.
"""

from pathlib import Path
from typing import Any

import pytest
from ends import Child, End, ctrl_c, kill, terminate
from sessions import session
from stacks import Checkout

# A database of another name is being filled as long as this role is not there.
GATE = r"""
create function gate(t text) returns bool language plpgsql as $$ begin
  while current_database() ~ '@part-' and not exists (select from pg_roles where rolname = 'gate')
  loop perform pg_sleep(0.05); end loop;
  return true;
end $$;
create table gated (t text check (public.gate(t)));
insert into gated values ('one');
"""
LOCKS = {
    "rows": "begin;\nlock table kept in access exclusive mode;",
    "databases": "\\connect postgres\nbegin;\nlock table pg_database in share mode;",
}
WAITING = "select count(*) from pg_locks where not granted;"
LOADING = "select count(*) from pg_stat_activity where datname ~ '@part-' and query ~ '^COPY';"


@pytest.fixture
def stack(nothing_aside: Checkout) -> Checkout:
    return nothing_aside


@pytest.fixture(scope="module")
def gated(shared: Checkout) -> str:
    """The name of a backup whose restore waits in the midst, until a role `gate` is there."""
    shared.inv("psql", stdin=GATE)
    path = Path(shared.inv("db.backup").stdout.strip())
    shared.sql("drop table gated; drop function gate")
    return path.stem


def state(stack: Checkout) -> dict[str, Any]:
    """What the tasks show of the data."""
    names = [one["dump"] for one in stack.backups()]
    assert not [name for name in names if "part" in name], names
    return {"text": stack.sql("select text from kept"), "backups": names}


def ended(child: Child, end: End) -> None:
    end(child)
    err = child.communicate(timeout=30)[1]
    assert child.returncode in (130, 143, -9) and "Traceback" not in err, (child.returncode, err)


@pytest.mark.parametrize(
    ("lock", "typed", "end"),
    [
        ("rows", "db.backup", kill),
        ("databases", "db.snapshot", kill),
        ("databases", "undo", ctrl_c),
        ("rows", "nuke --yes", terminate),
    ],
)
def test_a_task_that_is_ended(stack: Checkout, lock: str, typed: str, end: End) -> None:
    if typed == "undo":
        stack.inv("db.snapshot", "--name", "kept")
        stack.inv("db.restore", "kept")
    before, running = state(stack), stack.runtime.identities(stack.root)
    with session(stack) as other:
        other.ask(LOCKS[lock])
        child = stack.start(*typed.split())
        other.until(WAITING)
        ended(child, end)
    assert state(stack) == before
    assert stack.runtime.identities(stack.root) == running
    if "nuke" in typed:
        return
    stack.inv(*typed.split())  # the next one works, whatever is left at work
    assert not list((stack.root / "backups").glob("*.part"))
    assert not [name for name in stack.snapshots() if "part" in name]


def test_a_restore_that_is_killed(stack: Checkout, gated: str) -> None:
    """While rows are being loaded; then another one goes through."""
    stack.sql("update kept set text = 'changed'")
    with session(stack) as other:
        for last in (False, True):
            child = stack.start("db.restore", gated)
            other.until(LOADING)
            if not last:
                ended(child, kill)
                assert state(stack)["text"] == "changed"
        other.ask("create role gate;")
        err = child.communicate(timeout=60)[1]
    assert child.returncode == 0, err
    stack.sql("drop role gate; drop table gated; drop function gate")


def test_a_restore_that_is_killed_while_it_swaps(stack: Checkout, gated: str) -> None:
    stack.sql("update kept set text = 'changed'")
    with session(stack) as way, session(stack) as other:
        child = stack.start("db.restore", gated)
        other.until(LOADING)
        way.ask(LOCKS["databases"])
        other.ask("create role gate;")  # its own connection ends with the swap
        way.until(WAITING)
        ended(child, kill)
    now = state(stack)["text"]  # which of the two it is, is the server's own: never between
    assert now in ("kept", "changed")
    if now == "kept":
        stack.inv("undo")
        assert state(stack)["text"] == "changed"
    stack.inv("db.restore", gated)
    stack.sql("drop role gate; drop table gated; drop function gate")


@pytest.mark.fault("BAK06", "docker", "embedded")
def test_a_server_that_is_killed_in_a_backup(stack: Checkout) -> None:
    before = state(stack)
    with session(stack) as other:
        other.ask(LOCKS["rows"])
        child = stack.start("db.backup")
        other.until(WAITING)
        stack.kill_database()
        assert_ends_with("BAK06", child)
    stack.inv("up")
    assert state(stack) == before
    stack.inv("db.backup")


@pytest.mark.fault("BAK07", "docker", "embedded")
def test_a_server_that_is_killed_in_a_restore(stack: Checkout, gated: str) -> None:
    before = state(stack)
    with session(stack) as other:
        child = stack.start("db.restore", gated)
        other.until(LOADING)
        stack.kill_database()
        assert_ends_with("BAK07", child)
    stack.inv("up")
    assert state(stack) == before
    stack.inv("db.snapshot", "--name", "next")


def test_a_server_that_is_killed_in_a_snapshot(stack: Checkout) -> None:
    before = state(stack)
    with session(stack) as other:
        other.ask(LOCKS["databases"])
        child = stack.start("db.snapshot")
        other.until(WAITING)
        stack.kill_database()
        assert_ends_with("DB", child)
    stack.inv("up")
    assert state(stack) == before
    stack.inv("db.snapshot")


def assert_ends_with(code: str, child: Child) -> None:
    """It ends with this problem, by itself."""
    err = child.communicate(timeout=60)[1]
    assert child.returncode == 1 and f"error {code}" in err and "Traceback" not in err, err
