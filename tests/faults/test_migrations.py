"""Migrations: one that fails, two that are both the last, some that one side lacks."""

import json
import re
import shlex
from collections.abc import Iterator

import pytest
from stacks import Checkout, eventually, needs_notes

pytestmark = needs_notes
FOLDER = "project/notes/migrations"
MIGRATION = """\
from django.db import migrations


def fail(apps, schema_editor):
    raise RuntimeError("no such thing")


class Migration(migrations.Migration):
    dependencies = [("notes", "{after}")]
    operations = [{operations}]
"""
FAILS = "migrations.RunPython(fail)"


@pytest.fixture
def stack(stack: Checkout) -> Iterator[Checkout]:
    """After the test, neither the folder nor the database knows of its migrations."""
    yield stack
    for file in (stack.root / FOLDER).glob("0*.py"):
        if file.name != "0001_initial.py":
            file.unlink()
    tables = stack.sql("select tablename from pg_tables where tablename like 'made\\_%'").split()
    drop = "".join(f"drop table {table};" for table in tables)
    stack.sql(f"delete from django_migrations where app = 'notes' and name > '0002';{drop}")


def add(stack: Checkout, name: str, *operations: str, after: str = "0001_initial") -> None:
    """A migration that makes a table, and does more."""
    made = f'migrations.RunSQL("create table made_{name} ()", "drop table made_{name}")'
    text = MIGRATION.format(after=after, operations=", ".join((made, *operations)))
    stack.write(f"{FOLDER}/{name}.py", text)


def has(stack: Checkout, name: str) -> bool:
    """Whether the migration's table is there."""
    return stack.sql(f"select to_regclass('made_{name}') is not null") == "t"


def notices(stack: Checkout, words: str) -> None:
    """Until the web serves the code as it is now, and goes on to: one that was started a moment ago
    starts anew for whatever was saved meanwhile."""
    told = 0

    def steadily() -> bool:
        nonlocal told
        told = told + 1 if words in stack.get("readyz")[1] else 0
        return told > 8

    eventually(steadily, 15, f"/readyz tells {words}")


def mend(stack: Checkout, said: str) -> list[str]:
    """Type the command that the screen names."""
    found = re.search(r"  to mend it: (?:\./)?inv (.+?)(?:  then.*)?$", said, re.MULTILINE)
    assert found, said
    typed = shlex.split(found[1])
    stack.inv(*typed)
    return typed


@pytest.mark.fault("MIG02", "docker", "embedded")
@pytest.mark.parametrize("up", [True, False], ids=["saved", "first"])
def test_a_migration_that_fails(stack: Checkout, up: bool) -> None:
    if up:
        add(stack, "0002_bad", FAILS)
        notices(stack, "notes.0002_bad")
    else:
        stack.inv("down")
        add(stack, "0002_bad", FAILS)
    said = stack.refused("MIG02")
    assert "Migration notes.0002_bad failed" in said
    assert "  | RuntimeError: no such thing" in said
    assert "correct that migration" in said and "inv up" in said
    assert "Traceback" not in said and len(said.splitlines()) < 24
    assert not has(stack, "0002_bad") and stack.sql("select text from kept") == "kept"
    found = stack.found_by_doctor()
    assert len(found) == 1 and found <= {"MIG01", "MIG02"}
    if not up:
        assert "the database is as it was before it" in said and found == {"MIG02"}
    add(stack, "0002_bad")
    stack.inv("up")
    assert has(stack, "0002_bad")


@pytest.mark.fault("MIG01", "docker", "embedded")
def test_a_migration_that_is_not_applied(stack: Checkout) -> None:
    add(stack, "0002_new")
    notices(stack, "notes.0002_new")
    assert json.loads(stack.inv("status", "--json").stdout)["unapplied"] == ["notes.0002_new"]
    done = stack.inv("doctor", code=1)
    assert "error MIG01: not applied to the database: notes.0002_new." in done.stdout
    assert mend(stack, done.stdout) == ["migrate"]
    assert has(stack, "0002_new") and stack.found_by_doctor() == set()


@pytest.mark.fault("MIG01", "docker", "embedded")
def test_up_applies_what_was_added(stack: Checkout) -> None:
    add(stack, "0002_new")
    notices(stack, "notes.0002_new")
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert has(stack, "0002_new")


@pytest.mark.fault("MIG03", "docker", "embedded")
def test_a_database_that_is_ahead(stack: Checkout) -> None:
    stack.inv("db.snapshot", "--name", "fits")
    add(stack, "0002_theirs")
    notices(stack, "notes.0002_theirs")
    stack.inv("migrate")
    stack.inv("db.snapshot", "--name", "newer")
    file = stack.root / FOLDER / "0002_theirs.py"
    theirs = file.read_text()
    file.unlink()  # as another branch is without it
    notices(stack, '"unknown": ["notes.0002_theirs"]')
    done = stack.inv("up")
    assert done.stdout == f"{stack.url}\n"
    assert "note MIG03: the database has migrations that this branch lacks" in done.stderr
    status = stack.inv("status")
    assert (
        "applied, but not in this branch " in status.stdout and "notes.0002_theirs" in status.stdout
    )
    assert "a snapshot that fits this branch: inv db.restore fits" in status.stdout
    assert stack.found_by_doctor() == {"MIG03"}
    assert "inv migrate -- " in stack.inv("doctor", code=1).stdout
    file.write_text(theirs)
    stack.inv("migrate", "--", "notes", "0001_initial")
    file.unlink()
    notices(stack, '"unknown": []')
    assert stack.found_by_doctor() == set() and not has(stack, "0002_theirs")
    for name in ("fits", "newer"):
        stack.inv("db.snapshots", "--remove", name)


@pytest.mark.fault("MIG04", "docker", "embedded")
@pytest.mark.parametrize("up", [True, False], ids=["saved", "first"])
def test_two_that_are_both_the_last(stack: Checkout, up: bool) -> None:
    if not up:
        stack.inv("down")
    add(stack, "0002_ours")
    add(stack, "0002_theirs")
    if up:
        notices(stack, "conflicts")
        # Two files were saved: its server may start anew twice.
        eventually(lambda: stack.found_by_doctor() == {"MIG04"}, 15, "doctor knows")
    said = stack.refused("MIG04")
    assert "0002_ours" in said and "0002_theirs" in said and "Traceback" not in said
    assert stack.found_by_doctor() == {"MIG04"}
    assert mend(stack, said)[0] == "makemigrations"
    stack.inv("up")
    assert has(stack, "0002_ours") and has(stack, "0002_theirs")
    assert stack.found_by_doctor() == set()


COLLATED = "migrations.RunSQL('create table made_by_language (t text collate \"und-x-icu\")')"


@pytest.mark.fault("DB18", "embedded")
def test_a_collation_that_the_server_lacks(stack: Checkout) -> None:
    """Django's db_collation asks for one by the same words. Docker's server has it."""
    add(stack, "0002_sorted", COLLATED)
    notices(stack, "notes.0002_sorted")
    said = stack.refused("DB18")
    assert 'Migration notes.0002_sorted failed: collation "und-x-icu"' in said
    assert "Lower(Unaccent(…))" in said and stack.found_by_doctor() <= {"MIG01", "DB18"}
    stack.inv("down")
    stack.refused("DB18")
    assert stack.found_by_doctor() == {"DB18"}
    (stack.root / FOLDER / "0002_sorted.py").unlink()
    stack.inv("up")
