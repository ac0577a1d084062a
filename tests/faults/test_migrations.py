"""Migrations: one that fails, two that are both the last, some that one side lacks."""

import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
LAST = "0002_note_attachment"  # of the example app, as it is


@pytest.fixture
def stack(stack: Checkout) -> Iterator[Checkout]:
    """After the test, neither the folder nor the database knows of its migrations."""
    yield stack
    for file in (stack.root / FOLDER).glob("0*.py"):
        if file.stem not in ("0001_initial", LAST):
            file.unlink()
    tables = stack.sql("select tablename from pg_tables where tablename like 'made\\_%'").split()
    drop = "".join(f"drop table {table};" for table in tables)
    stack.sql(f"delete from django_migrations where app = 'notes' and name > '0003';{drop}")


def add(stack: Checkout, name: str, *operations: str, after: str = LAST) -> None:
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


def apply_fix(stack: Checkout, said: str) -> list[str]:
    """Type the command that the screen names."""
    found = re.search(r"  fix: (?:\./)?inv (.+?)(?:  then.*)?$", said, re.MULTILINE)
    assert found, said
    typed = shlex.split(found[1])
    stack.inv(*typed)
    return typed


@pytest.mark.fault("WEB06", "docker")
def test_a_long_migrate_is_no_fault(stack: Checkout) -> None:
    """A web is slow, and not stuck, as long as its migrations advance, whatever its health check
    says meanwhile."""
    check = "{start_period: 1s, start_interval: 1s, interval: 1s, retries: 1}"
    local = "compose/local.yaml"
    stack.write(local, f"services:\n  web:\n    healthcheck: {check}\n")
    add(stack, "0003_quick")
    add(stack, "0004_slow", 'migrations.RunSQL("select pg_sleep(8)")', after="0003_quick")
    stack.set("COMPOSE_FILE", f"{stack.values['COMPOSE_FILE']}:{local}")
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert has(stack, "0003_quick") and has(stack, "0004_slow")
    (stack.root / local).unlink()


@pytest.mark.fault("MIG02", "docker", "embedded")
@pytest.mark.parametrize("up", [True, False], ids=["saved", "first"])
def test_a_migration_that_fails(stack: Checkout, up: bool) -> None:
    if up:
        add(stack, "0003_bad", FAILS)
        notices(stack, "notes.0003_bad")
    else:
        stack.inv("down")
        add(stack, "0003_bad", FAILS)
    said = stack.refused("MIG02")
    assert "Migration notes.0003_bad failed" in said
    assert "  | RuntimeError: no such thing" in said
    assert "correct that migration" in said and "inv up" in said
    assert "Traceback" not in said and len(said.splitlines()) < 24
    assert not has(stack, "0003_bad") and stack.sql("select text from kept") == "kept"
    found = stack.found_by_doctor()
    assert len(found) == 1 and found <= {"MIG01", "MIG02"}
    if not up:
        assert "the database is unchanged" in said and found == {"MIG02"}
    if up:
        assert "notes.0003_bad failed; the database is unchanged" in said
        by_hand(stack)
    add(stack, "0003_bad")
    stack.inv("up")
    assert has(stack, "0003_bad")


def by_hand(stack: Checkout) -> None:
    """`inv migrate` of one that fails ends with the same problem, and its traceback in a file."""
    log = stack.root / ".state/migrate.log"
    log.unlink()
    done = stack.inv("migrate", code=1)
    said = done.stdout + done.stderr
    assert "RuntimeError: no such thing\nMigration notes.0003_bad failed; the database" in said
    assert "error MIG02: " in said and "less .state/migrate.log" in said
    assert "Traceback" not in said and len(said.splitlines()) < 24
    assert log.read_text().startswith("Traceback (most recent call last):")


@pytest.mark.fault("MIG01", "docker", "embedded")
def test_a_migration_that_is_not_applied(stack: Checkout) -> None:
    add(stack, "0003_new")
    notices(stack, "notes.0003_new")
    assert json.loads(stack.inv("status", "--json").stdout)["unapplied"] == ["notes.0003_new"]
    done = stack.inv("doctor", code=1)
    assert "error MIG01: not applied to the database: notes.0003_new." in done.stdout
    assert apply_fix(stack, done.stdout) == ["migrate"]
    assert has(stack, "0003_new") and stack.found_by_doctor() == set()


@pytest.mark.fault("MIG11", "docker", "embedded")
def test_a_model_that_was_changed_alone(stack: Checkout) -> None:
    """Its page fails, and is the only one to say so, unless somebody compares."""
    models = "project/notes/models.py"
    text = "text = models.CharField("
    before = stack.write(models, "")
    assert text in before
    stack.write(models, before.replace(text, f"mood = models.TextField(default='')\n    {text}"))
    try:
        notices(stack, '"unmade": ["notes"]')
        assert "note MIG11: models of notes have changes" in stack.inv("up").stderr
        assert "(inv makemigrations -- APP): notes" in stack.inv("status").stdout
        assert stack.found_by_doctor() == {"MIG11", "WEB07"}
        done = stack.inv("doctor", code=1)
        assert apply_fix(stack, done.stdout) == ["makemigrations", "--", "notes"]
        notices(stack, "notes.0003_note_mood")
        stack.inv("up")
        assert stack.found_by_doctor() == set() and stack.get("notes/")[0] == 200
        stack.inv("migrate", "--", "notes", "0002")
    finally:
        stack.write(models, before)


@pytest.mark.fault("MIG01", "docker", "embedded")
def test_up_applies_what_was_added(stack: Checkout) -> None:
    add(stack, "0003_new")
    notices(stack, "notes.0003_new")
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert has(stack, "0003_new")


@pytest.mark.fault("MIG03", "docker", "embedded")
def test_a_database_that_is_ahead(stack: Checkout) -> None:
    stack.inv("db.snapshot", "--name", "fits")
    add(stack, "0003_theirs")
    notices(stack, "notes.0003_theirs")
    stack.inv("migrate")
    stack.inv("db.snapshot", "--name", "newer")
    file = stack.root / FOLDER / "0003_theirs.py"
    theirs = file.read_text()
    file.unlink()  # as another branch is without it
    notices(stack, '"unknown": ["notes.0003_theirs"]')
    done = stack.inv("up")
    assert done.stdout == f"{stack.url}\n"
    assert "note MIG03: the database has migrations that this branch lacks" in done.stderr
    status = stack.inv("status")
    assert (
        "applied, but not in this branch " in status.stdout and "notes.0003_theirs" in status.stdout
    )
    assert "a snapshot that fits this branch: inv db.restore fits" in status.stdout
    assert stack.found_by_doctor() == {"MIG03"}
    assert "inv migrate -- " in stack.inv("doctor", code=1).stdout
    file.write_text(theirs)
    stack.inv("migrate", "--", "notes", LAST)
    file.unlink()
    notices(stack, '"unknown": []')
    assert stack.found_by_doctor() == set() and not has(stack, "0003_theirs")
    for name in ("fits", "newer"):
        stack.inv("db.snapshots", "--remove", name)


@pytest.mark.fault("MIG04", "docker", "embedded")
@pytest.mark.parametrize("up", [True, False], ids=["saved", "first"])
def test_two_that_are_both_the_last(stack: Checkout, up: bool) -> None:
    if not up:
        stack.inv("down")
    add(stack, "0003_ours")
    add(stack, "0003_theirs")
    if up:
        notices(stack, "conflicts")
        # Two files were saved: its server may start anew twice.
        eventually(lambda: stack.found_by_doctor() == {"MIG04"}, 15, "doctor knows")
    said = stack.refused("MIG04")
    assert "0003_ours" in said and "0003_theirs" in said and "Traceback" not in said
    assert stack.found_by_doctor() == {"MIG04"}
    assert apply_fix(stack, said)[0] == "makemigrations"
    stack.inv("up")
    assert has(stack, "0003_ours") and has(stack, "0003_theirs")
    assert stack.found_by_doctor() == set()


COLLATED = "migrations.RunSQL('create table made_by_language (t text collate \"und-x-icu\")')"


@pytest.mark.fault("DB18", "embedded")
def test_a_collation_that_the_server_lacks(stack: Checkout) -> None:
    """Django's db_collation asks for one by the same words. Docker's server has it."""
    add(stack, "0003_sorted", COLLATED)
    notices(stack, "notes.0003_sorted")
    said = stack.refused("DB18")
    assert 'Migration notes.0003_sorted failed: collation "und-x-icu"' in said
    assert "Lower(Unaccent(…))" in said and stack.found_by_doctor() <= {"MIG01", "DB18"}
    stack.inv("down")
    stack.refused("DB18")
    assert stack.found_by_doctor() == {"DB18"}
    (stack.root / FOLDER / "0003_sorted.py").unlink()
    stack.inv("up")


OPEN = "begin; select count(*) from notes_note;\n"
ALTERS = 'migrations.RunSQL("alter table notes_note add made_more int")'


@contextmanager
def visitors(stack: Checkout) -> Iterator[list[int]]:
    """Somebody asks for the page of the notes again and again; the statuses that came."""
    came: list[int] = []
    done = threading.Event()

    def visit() -> None:
        while not done.is_set():
            came.append(stack.get("notes/")[0])

    thread = threading.Thread(target=visit)
    thread.start()
    yield came
    done.set()
    thread.join()


@pytest.mark.fault("MIG05", "docker", "embedded")
@pytest.mark.fault("DB21", "docker", "embedded")
def test_a_lock_that_somebody_holds(stack: Checkout) -> None:
    """One idle transaction: the page is served all the while, and the fix on the screen works."""
    stack.set("LOCK_WAIT_SECONDS", "5")
    stack.inv("up")
    with stack.start("psql", stdin=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout
        holder.stdin.write(OPEN)
        holder.stdin.flush()
        assert holder.stdout.readline()  # it has the lock
        add(stack, "0003_more", ALTERS)
        notices(stack, "notes.0003_more")
        with visitors(stack) as came:
            said = stack.refused("MIG05")
        assert came and set(came) == {200}
        assert "idle in transaction" in said and "psql" in said
        assert not has(stack, "0003_more")
        # doctor takes a transaction for a forgotten one after ten seconds of nothing.
        eventually(lambda: stack.found_by_doctor() == {"MIG01", "DB21"}, 15, "doctor names it")
        ends = re.search(r"inv psql -- -c '(select pg_terminate_backend\(\d+\))'", said)
        assert ends, said
        stack.inv("psql", "--", "-c", ends[1])
        holder.communicate()
    stack.inv("up")
    assert has(stack, "0003_more")
    stack.sql("alter table notes_note drop made_more")


@pytest.mark.fault("MIG06", "docker", "embedded")
def test_an_index_that_was_broken_off(stack: Checkout) -> None:
    """PostgreSQL leaves one that is invalid, here of a value that is there twice."""
    stack.sql("create table made_twice as select 1 as x union all select 1")
    broken = "create unique index concurrently made_index on made_twice (x)"
    stack.inv("psql", "--", "-c", broken, code=1)
    assert stack.found_by_doctor() == {"MIG06"}
    create = f'migrations.RunSQL("{broken.replace("unique ", "")}")'
    add(stack, "0003_index", create)
    stack.write(f"{FOLDER}/0003_index.py", CONCURRENT.format(create))
    notices(stack, "notes.0003_index")
    said = stack.refused("MIG06")
    drop = re.search(r"inv psql -- -c '(DROP INDEX CONCURRENTLY public\.made_index)'", said)
    assert drop, said
    stack.inv("psql", "--", "-c", drop[1])
    stack.inv("up")
    assert stack.found_by_doctor() == set()


CONCURRENT = """\
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notes", "0002_note_attachment")]
    operations = [{}]
"""
USERS = "project/members"
MODEL = """\
from django.contrib.auth.models import AbstractUser


class Member(AbstractUser):
    pass
"""


@pytest.mark.fault("MIG07", "docker", "embedded")
def test_a_user_model_that_comes_too_late(stack: Checkout) -> None:
    """Django's own advice, taken a day after the first `up`; the page goes on being served."""
    settings = stack.write("project/config/settings.py", "")
    folder = stack.root / USERS
    folder.mkdir()
    for name, text in {"__init__.py": "", "models.py": MODEL}.items():
        (folder / name).write_text(text)
    instead = "\nINSTALLED_APPS[INSTALLED_APPS.index('users')] = 'members'\n"
    own = f"{instead}AUTH_USER_MODEL = 'members.Member'\n"
    stack.write("project/config/settings.py", settings + own)
    try:
        notices(stack, '"unmade": ["members"]')
        assert stack.get()[0] == 200
        stack.inv("makemigrations", "--", "members")
        said = stack.refused("MIG07")
        assert "AUTH_USER_MODEL is members.Member" in said and "inv nuke" in said
        assert "Traceback" not in said
        assert stack.get()[0] == 200, said + stack.inv("logs").stdout
        assert stack.found_by_doctor() == {"MIG07"}
    finally:
        stack.write("project/config/settings.py", settings)
        shutil.rmtree(folder)
    eventually(lambda: stack.get("readyz")[0] == 200, 15, "the settings of before are served")


@pytest.mark.fault("MIG12", "docker", "embedded")
def test_a_database_that_is_older_than_the_user_model(stack: Checkout) -> None:
    """With the tables that it had before the starter had a user model of its own: they stay."""
    stack.set("SQL_DATABASE", "older")
    stack.set("AUTH_USER_MODEL", "auth.User")
    stack.inv("db.create")
    eve = "from django.contrib.auth.models import User; User.objects.create_user('eve')"
    stack.inv("manage", "--", "shell", "-c", eve)
    stack.set("AUTH_USER_MODEL", "")
    said = stack.inv("up").stderr
    assert "MIG12" in said and "admin.0001_initial is applied" in said
    assert stack.values["AUTH_USER_MODEL"] == "auth.User"
    assert stack.get("accounts/login/")[0] == 200
    assert stack.sql("select username from auth_user") == "eve"
    assert stack.sql("select to_regclass('users_user') is null") == "t"
    assert "MIG12" not in stack.inv("up").stderr


@pytest.mark.fault("MIG08", "docker", "embedded")
def test_a_history_that_another_order_contradicts(stack: Checkout) -> None:
    add(stack, "0003_first")
    notices(stack, "notes.0003_first")
    stack.inv("up")
    add(stack, "0004_second")
    add(stack, "0003_first", after="0004_second")
    notices(stack, "which it depends on, is not")
    said = stack.refused("MIG08")
    assert "notes.0003_first is applied, but notes.0004_second" in said
    assert stack.found_by_doctor() == {"MIG08"} and stack.get("notes/")[0] == 200
    add(stack, "0003_first")  # the dependencies that it was applied with
    add(stack, "0004_second", after="0003_first")
    notices(stack, "notes.0004_second")
    stack.inv("up")
    assert has(stack, "0004_second") and stack.found_by_doctor() == set()


@pytest.mark.fault("MIG09", "docker", "embedded")
def test_a_parent_that_is_not_a_file(stack: Checkout) -> None:
    add(stack, "0003_orphan", after="0001_renamed")
    notices(stack, "0001_renamed")
    assert "notes.0003_orphan depends on notes.0001_renamed" in stack.refused("MIG09")
    assert stack.found_by_doctor() == {"MIG09"} and stack.get("notes/")[0] == 200
    add(stack, "0003_orphan")
    notices(stack, '"unapplied": ["notes.0003_orphan"]')
    stack.inv("up")
    assert has(stack, "0003_orphan") and stack.found_by_doctor() == set()


@pytest.mark.fault("MIG10", "docker", "embedded")
def test_a_table_that_is_there_already(stack: Checkout) -> None:
    stack.sql('create table "made_0003_there" ()')
    add(stack, "0003_there")
    notices(stack, "notes.0003_there")
    assert "already exists" in stack.refused("MIG10")
    assert stack.found_by_doctor() == {"MIG01"}  # what it fails at, the next migrate says
    stack.inv("migrate", "--", "--fake", "notes", "0003_there")
    stack.inv("up")
    assert stack.found_by_doctor() == set()
