"""What every runtime promises, on its real engine: from a fresh clone to nothing left.

The tests stand in the order of a day's work, and share one stack.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from from_wheels import IMPORTED, imported
from stacks import (
    Checkout,
    Docker,
    Embedded,
    Make,
    Runtime,
    docker,
    eventually,
    needs_notes,
    web_tests,
)

from djup import ROOT


@pytest.fixture(scope="module")
def fresh(make: Make, runtime: Runtime) -> Checkout:
    return make(runtime)


@pytest.fixture(scope="module")
def stack(fresh: Checkout) -> Checkout:
    """The fresh checkout after its first `inv up`, whose answer is kept for the tests."""
    first = fresh.inv("up")
    assert first.stdout == f"{fresh.url}\n", "the URL alone is on stdout"
    return fresh


@pytest.fixture(autouse=True)
def up(stack: Checkout) -> None:
    """Every test finds it up, so that each can also be run alone."""


@pytest.mark.image
def test_page(stack: Checkout) -> None:
    status, page = stack.get()
    assert status == 200 and "PostgreSQL" in page


@pytest.mark.image
@pytest.mark.made
def test_nothing_of_this_tree_is_imported(stack: Checkout) -> None:
    """By the tasks, and by the web, wherever its Python is."""
    web = stack.inv("shell", "--", "-c", f"python -P -c '{IMPORTED}' djup_web django").stdout
    for found in (imported(stack.root, "djup", "invoke"), web.splitlines()):
        assert sum("/site-packages/" in line for line in found) >= 2, found
        assert not [line for line in found if str(ROOT) in line or "/packages/djup" in line]


@pytest.mark.image
def test_probes(stack: Checkout) -> None:
    assert stack.get("healthz")[0] == 200
    status, answer = stack.get("readyz")
    told = {"ready": True, "unknown": [], "unmade": [], "conflicts": {}, "host_allowed": True}
    assert (status, json.loads(answer)) == (200, told)


def test_up_again_changes_nothing_and_is_quick(stack: Checkout) -> None:
    before = stack.runtime.identities(stack.root)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        assert stack.inv("up").stdout == f"{stack.url}\n"
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 3
    assert before and stack.runtime.identities(stack.root) == before


def test_status(stack: Checkout) -> None:
    found = json.loads(stack.inv("status", "--json").stdout)
    assert found["project"] == stack.project
    assert found["runtime"] == stack.runtime.name
    assert (found["url"], found["ready"], found["unapplied"]) == (stack.url, True, [])
    assert {s["service"]: s["state"] for s in found["services"]} == dict.fromkeys(
        ("db", "web"), "running"
    )
    assert stack.url in stack.inv("status").stdout


def test_volumes(stack: Checkout) -> None:
    listed = stack.inv("volumes").stdout
    for found in json.loads(stack.inv("volumes", "--json").stdout):
        assert found["name"] and found["size"] and found["created"] and found["mounted_by"]
        assert found["name"] in listed


@pytest.mark.image
def test_migrations(stack: Checkout) -> None:
    assert "No migrations to apply" in stack.inv("migrate").stdout
    assert "No changes detected" in stack.inv("makemigrations", "--", "--check").stdout
    assert "No changes detected" in stack.inv("manage", "--", "makemigrations", "--check").stdout


SORTED = """
from django.contrib.postgres.lookups import Unaccent
from django.db import connection
from django.db.models.functions import Lower
from notes.models import Note
with connection.cursor() as cursor:
    cursor.execute("CREATE EXTENSION IF NOT EXISTS unaccent")
words = ["Banana", "Zebra", "apple", "Ärger"]
Note.objects.bulk_create(Note(text=word) for word in words)
notes = Note.objects.filter(text__in=words)
for order in (["text"], [Lower(Unaccent("text")), "text"]):
    print(*notes.order_by(*order).values_list("text", flat=True), sep=", ")
notes.delete()
"""


@needs_notes
def test_the_order_of_text(stack: Checkout) -> None:
    """The two orders that docs/how-to/develop.md names: the server's own, and that of a reader."""
    said = stack.inv("manage", "--", "shell", "--verbosity", "0", "-c", SORTED).stdout
    assert said.splitlines() == ["Banana, Zebra, apple, Ärger", "apple, Ärger, Banana, Zebra"]


def test_manage(stack: Checkout) -> None:
    code = "print('it''s', \"a b\", '$x', 1+1)"
    assert stack.inv("manage", "--", "shell", "-c", code).stdout.endswith("its a b $x 2\n")
    stack.inv("manage", "--", "nosuchcommand", code=1)


def test_the_apps_own_tests_run_beside_the_database(stack: Checkout) -> None:
    """On the stack's server, in a database of their own."""
    assert ran(stack.inv("manage", "--", "test")) > 8
    if stack.runtime.name == "docker":  # the suite `web` has run these with the embedded's Python
        assert ran(stack.inv("manage", "--", "test", *web_tests(stack))) > 100
    assert stack.sql("select count(*) from pg_database where datname like 'test%'") == "0"


def ran(done: subprocess.CompletedProcess[str]) -> int:
    """How many tests Django's runner has run."""
    counted = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert counted, done.stderr
    return int(counted[1])


MODEL = "from django.db import models\n\nclass Note(models.Model):\n    text = models.TextField()\n"
SILENT = "def test_shop():\n    assert False\n"
FAILING = """
from django.test import TestCase

class ShopTests(TestCase):
    def test_shop(self):
        self.assertEqual(1, 2)
"""


@pytest.fixture
def shop(stack: Checkout) -> Iterator[Path]:
    """The folder of an app `shop`, made as docs/how-to/develop.md says, with a table."""
    settings = stack.root / "project" / "config" / "settings.py"
    before = settings.read_text()
    stack.inv("manage", "--", "startapp", "shop")
    folder = stack.root / "project" / "shop"
    (folder / "models.py").write_text(MODEL)
    settings.write_text(f"{before}\nINSTALLED_APPS += ['shop']\n")
    stack.inv("makemigrations")
    stack.inv("migrate")
    yield folder
    stack.inv("manage", "--", "migrate", "shop", "zero")
    settings.write_text(before)
    shutil.rmtree(folder)
    stack.inv("up")


@pytest.mark.image
@needs_notes
def test_an_app_of_the_users(stack: Checkout, shop: Path) -> None:
    """By the how-to's commands: it is in project/, with its table, rows and example data."""
    assert (shop / "migrations" / "0001_initial.py").is_file() and not (
        stack.root / "shop"
    ).exists()
    stack.sql("insert into shop_note (text) values ('first')")
    (shop / "fixtures").mkdir()
    dumped = stack.inv("manage", "--", "dumpdata", "shop", "--indent", "2").stdout
    (shop / "fixtures" / "seed.json").write_text(dumped)
    stack.sql("delete from shop_note")
    assert "shop: 1 object" in stack.inv("db.seed").stdout
    assert stack.sql("select text from shop_note") == "first"
    stack.sql("truncate notes_note restart identity")  # which were loaded as well


def test_tests_that_fail_are_not_found_or_are_passed_over(stack: Checkout, shop: Path) -> None:
    """None is a success, where the web runs."""
    said = {
        FAILING: "AssertionError: 1 != 2",
        SILENT: "test_shop is written for pytest",
        "": "No tests were found",
    }
    for text, words in said.items():
        (shop / "tests.py").write_text(text)
        assert words in stack.inv("manage", "--", "test", "shop", code=1).stderr
    (shop / "tests.py").write_text(FAILING.replace("(1, 2)", "(1, 1)"))
    assert "Ran 1 test " in stack.inv("manage", "--", "test", "shop").stderr


def test_a_superuser_of_a_script(stack: Checkout) -> None:
    typed = "python manage.py createsuperuser --noinput --username eve --email eve@example.org"
    stack.inv("shell", "--", "-c", f"DJANGO_SUPERUSER_PASSWORD=of-a-script {typed}")
    assert stack.sql("select is_superuser from users_user where username = 'eve'") == "t"


def test_manage_and_shell_work_in_the_projects_folder(stack: Checkout) -> None:
    for typed in (("manage", "--", "shell", "-c"), ("shell", "--", "-c")):
        code = "import os; print(*sorted(os.listdir()))" if "manage" in typed else "ls"
        assert {"manage.py", "config", "home"} <= set(stack.inv(*typed, code).stdout.split())


@pytest.mark.image
def test_shell(stack: Checkout) -> None:
    assert "uid=" in stack.inv("shell", "--", "-c", "id").stdout
    stack.inv("shell", "--", "-c", "exit 7", code=7)


def test_psql(stack: Checkout) -> None:
    assert stack.sql("select current_user || ' ' || current_database()") == "app app"
    assert "$a b$" in stack.inv("psql", "--", "-c", "select $q$$a b$$q$").stdout
    stack.inv("psql", "--", "-c", "select nonsense", code=1)


def test_psql_streams_in_and_out(stack: Checkout) -> None:
    lines = "".join(f"{number}\tnaïve 日本 {number}\n" for number in range(20_000))
    script = "create table stream (id int, text text);\n\\copy stream from stdin\n"
    stack.inv("psql", "--", "-v", "ON_ERROR_STOP=1", stdin=f"{script}{lines}\\.\n")
    out = stack.inv("psql", "--", "-c", "copy (select * from stream order by id) to stdout")
    assert out.stdout == lines
    stack.sql("drop table stream")


def test_sort_order_is_that_of_the_code_points(stack: Checkout) -> None:
    rows = stack.sql("select x from (values ('b'), ('B'), ('a'), ('é')) t (x) order by x")
    assert rows.split() == ["B", "a", "b", "é"]


def test_logs(stack: Checkout) -> None:
    stack.get("no-such-page-asked-for-by-the-test")
    assert "no-such-page-asked-for-by-the-test" in stack.inv("logs").stdout
    web = stack.inv("logs", "--service", "web", "--lines", "500").stdout
    db = stack.inv("logs", "--service", "db", "--lines", "500").stdout
    assert "no-such-page-asked-for-by-the-test" in web
    assert "no-such-page-asked-for-by-the-test" not in db
    assert "database system is ready" in db and "database system is ready" not in web


JOBS = """
import os, signal
from django_tasks import task

@task(takes_context=True)
def killed(context):
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return context.attempt

@task
def fails():
    raise LookupError("as it must")
"""
ENQUEUE = """
from djup_web import request_id
from home.tasks import fails, killed
with request_id.of("asked-for-by-the-test"):
    fails.enqueue(), killed.enqueue()
"""


SCHEDULE = """
from djup_web.schedule import cron, every
from django_tasks import task

@every("1s")
def broken():
    raise LookupError("at its time")

@every("1s")
@task
def counted():
    pass

@cron("0 4 1 1 *")
def at_new_year(): ...
"""


@pytest.fixture(scope="class")
def worker(stack: Checkout) -> Iterator[Path]:
    """The worker, the schedule, and the file of the tasks that they run."""
    tasks = stack.root / "project" / "home" / "tasks.py"
    tasks.write_text(JOBS)
    tasks.with_name("schedule.py").write_text(SCHEDULE)
    for service in ("worker", "schedule"):
        stack.inv("service.add", service)
    stack.inv("up")
    yield tasks
    tasks.unlink()
    tasks.with_name("schedule.py").unlink()
    for service in ("worker", "schedule"):
        stack.inv("service.remove", service)
    stack.inv("up")


class TestWorkerAndSchedule:
    def test_the_schedule_runs_and_is_listed(self, stack: Checkout, worker: Path) -> None:
        def entries() -> dict[str, dict[str, str]]:
            found = json.loads(stack.inv("schedule", "--json").stdout)
            return {one["name"]: one for one in found}

        done = "select count(*) from djup_jobs_job where state = 'DONE' and task like '%counted'"
        eventually(
            lambda: stack.sql(done) != "0", 30, "the worker has done what the schedule enqueued"
        )
        eventually(lambda: entries()["home.broken"]["outcome"] == "failed", 10, "it has failed")
        assert entries()["home.broken"]["error"] == "LookupError: at its time"
        assert entries()["home.at_new_year"]["next_run"].endswith("-01-01T04:00:00+00:00")
        assert {"clearsessions", "prune_jobs"} < entries().keys()
        logged = stack.inv("logs", "--service", "schedule", "--lines", "200").stdout
        assert "Traceback" in logged and "home.counted: enqueued" in logged
        assert worker.exists()

    def test_a_killed_workers_job_is_finished_by_another(
        self, stack: Checkout, worker: Path
    ) -> None:
        stack.inv("manage", "--", "shell", "--verbosity", "0", "-c", ENQUEUE)
        ended = (
            "select return_value from djup_jobs_job where state = 'DONE' and task like '%killed'"
        )
        eventually(lambda: stack.sql(ended) == "2", 30, "the second attempt ended")
        logged = stack.inv("logs", "--service", "worker", "--lines", "200").stdout
        for words in (
            "by signal 9",
            "attempt 2",
            "LookupError: as it must",
            "asked-for-by-the-test",
        ):
            assert words in logged
        worker.write_text(JOBS.replace("as it must", "as it was changed to"))
        stack.sql(
            "update djup_jobs_job set run_after = now() + interval '3 s' where state = 'LATER'"
        )
        said = lambda: stack.inv("logs", "--service", "worker", "--lines", "200").stdout  # noqa: E731
        eventually(lambda: "as it was changed to" in said(), 30, "the changed code runs")


@needs_notes
def test_from_browser_to_database_and_back(stack: Checkout) -> None:
    assert stack.post_note("from the browser: it's <b>") == 200
    assert stack.sql("select text from notes_note") == "from the browser: it's <b>"
    stack.sql("insert into notes_note (text, created_at) values ('from psql', now())")
    assert "from psql" in stack.get("notes/")[1]


@needs_notes
def test_example_data(stack: Checkout) -> None:
    """Twice: what is there, or was changed, stays, and the next note gets a key of its own."""
    stack.sql("insert into notes_note (text, created_at) values ('of the user', now())")
    assert stack.inv("db.seed").stdout == "notes: 5 objects loaded\n"
    stack.sql("update notes_note set text = 'changed' where id = 1001")
    before = stack.sql("select * from notes_note order by id")
    assert "notes: 0 objects loaded; 5 exist already" in stack.inv("db.seed").stdout
    assert stack.sql("select * from notes_note order by id") == before
    assert stack.post_note("the next one") == 200
    assert stack.sql("select id from notes_note where text = 'the next one'") == "1006"


def test_an_admin_for_development(stack: Checkout) -> None:
    for key, value in {"USER": "ann", "PASSWORD": r"'it\'s $5'", "EMAIL": "ann@x.org"}.items():
        stack.set(f"ADMIN_{key}", value)
    made = stack.inv("db.seed", "--admin")
    assert made.stdout.endswith("created the superuser ann, who can log in at /admin/\n")
    code = "from django.contrib.auth import *; print(authenticate(username='ann', password={}))"
    log_in = ("manage", "--", "shell", "--verbosity", "0", "-c", code.format('"it\'s $5"'))
    assert stack.inv(*log_in).stdout == "ann\n"
    stack.set("ADMIN_PASSWORD", "another")
    again = stack.inv("db.seed", "--admin")
    assert "the user ann already exists" in again.stdout
    assert stack.inv(*log_in).stdout == "ann\n"
    assert "it's" not in made.stdout + made.stderr and "another" not in again.stderr


def test_rows_survive_down_and_up(stack: Checkout) -> None:
    stack.sql("create table kept as select 'kept' as text")
    volumes = stack.inv("volumes", "--json").stdout
    stack.inv("down")
    assert stack.runtime.identities(stack.root) == set()
    assert stack.get()[0] == 0
    after = json.loads(stack.inv("volumes", "--json").stdout)
    assert [v["name"] for v in after] == [v["name"] for v in json.loads(volumes)]
    assert not any(v["mounted_by"] for v in after)
    stack.inv("psql", "--", "-c", "select 1", code=1)
    stack.inv("up")
    assert stack.sql("select text from kept") == "kept"


def test_down_twice(stack: Checkout) -> None:
    stack.inv("down")
    stack.inv("down")
    stack.inv("up")


def add_service_with_a_nameless_volume(stack: Checkout) -> None:
    """A container as a compose file of one's own would have it: nobody would find the volume."""
    compose = "com.docker.compose"
    labels = {
        f"{compose}.project": stack.project,
        f"{compose}.service": "own",
        f"{compose}.oneoff": "False",
        f"{compose}.project.working_dir": str(stack.root),
    }
    flags = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    docker("create", *flags, "--volume", "/kept", "postgres:18-alpine")


@pytest.mark.image
def test_nuke(stack: Checkout) -> None:
    if stack.runtime.name == "docker":
        add_service_with_a_nameless_volume(stack)
    assert set(stack.runtime.leftovers(stack.root)) >= {"volume"}
    used = stack.runtime.data_volumes(stack.root)
    env = (stack.root / ".env").read_bytes()
    refused = stack.inv("nuke", code=1)
    assert "TASK02" in refused.stderr
    assert stack.get()[0] == 200, "a refused nuke touches nothing"
    assert not (stack.root / "backups").exists()
    stack.inv("nuke", "--yes", "--no-backup")
    assert stack.runtime.leftovers(stack.root) == {}
    assert used and not used & stack.runtime.all_volumes()
    assert (stack.root / ".env").read_bytes() == env
    assert json.loads(stack.inv("volumes", "--json").stdout) == []
    stack.inv("nuke", "--yes")


def test_after_nuke_all_is_new(stack: Checkout) -> None:
    stack.inv("nuke", "--yes", "--no-backup")
    stack.inv("up")
    assert stack.get()[0] == 200
    assert stack.sql("select to_regclass('kept') is null") == "t"


@needs_notes
def test_rows_are_carried_over_as_the_manual_says(stack: Checkout, docker_runtime: Docker) -> None:
    """From one runtime to the other, and back."""
    here, there = (docker_runtime, Embedded())
    if stack.runtime.name == there.name:
        here, there = there, here
    stack.sql("insert into notes_note (text, created_at) values ('carried', now())")
    dump = ["dumpdata", "--natural-foreign", "-e", "contenttypes", "-e", "auth.permission"]
    load = ["loaddata", "--format", "json", "-"]
    try:
        for runtime in (there, here):
            rows = stack.inv("manage", "--", *dump).stdout
            stack.sql("delete from notes_note")
            stack.inv("up", "--runtime", runtime.name)
            assert stack.sql("select count(*) from notes_note") == "0"
            stack.inv("manage", "--", *load, stdin=rows)
            assert stack.sql("select text from notes_note") == "carried"
    finally:
        there.remove(stack.root)
    stack.sql("delete from notes_note")


@needs_notes
def test_the_example_app_goes_as_the_home_page_says(stack: Checkout, tmp_path: Path) -> None:
    assert "(0 rows)" in stack.inv("psql", "--", "-c", "table notes_note").stdout
    kept = [f"project/{name}" for name in ("notes", "config/settings.py", "config/urls.py")]
    stack.inv("manage", "--", "migrate", "notes", "zero")
    assert stack.sql("select to_regclass('notes_note') is null") == "t"
    saved = shutil.copytree(stack.root / "project", tmp_path / "project")
    shutil.rmtree(stack.root / kept[0])
    for file in kept[1:]:
        lines = stack.write(file, "").splitlines(keepends=True)
        stack.write(file, "".join(line for line in lines if "# the example app" not in line))
    try:
        stack.inv("up")
        assert stack.get()[0] == 200 and stack.get("notes/")[0] == 404
        assert "No migrations to apply" in stack.inv("migrate").stdout
        assert stack.found_by_doctor() == set()
    finally:
        shutil.copytree(saved, stack.root / "project", dirs_exist_ok=True)
        stack.inv("up")


def test_the_checkout_holds_nothing_new(stack: Checkout) -> None:
    """Beside what a clone has there are only files that git ignores."""
    assert {path.name for path in stack.root.iterdir()} - {*stack.cloned} <= {
        ".data",
        ".env",
        ".state",
        ".venv",
        "__pycache__",
        "backups",
    }
