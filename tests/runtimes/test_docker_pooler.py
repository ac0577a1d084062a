"""Docker: Django behind compose/prod/pooler.yaml."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier

import pooler
import psycopg2
import pytest
from pooler import DATABASE, PASSWORD, POOL_SIZE, USER, Pooler
from stacks import docker, eventually

from djup import ROOT

pytestmark = pytest.mark.runtime("docker")
CLIENTS = 200
BACKENDS = """(select count(*) from pg_stat_activity
where usename = 'ann' and application_name = '' and backend_type = 'client backend')"""
SETTINGS = """
from config.settings import *

DATABASES["default"].update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
"""
# In threads, so that what one connection leaves behind meets another.
USE = """
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.contrib.auth.models import Group
from django.db import connection, transaction

def use(number):
    with transaction.atomic():
        Group.objects.create(name=f"kept {number}")
    try:
        with transaction.atomic():
            Group.objects.create(name=f"gone {number}")
            raise RuntimeError
    except RuntimeError:
        pass
    seen = sum(1 for _ in Group.objects.filter(name__startswith="kept").iterator(chunk_size=1))
    with connection.cursor() as cursor:
        cursor.execute("show timezone")
        return seen, cursor.fetchone()[0]

with ThreadPoolExecutor(60) as threads:
    found = list(threads.map(use, range(60)))
assert {zone for _, zone in found} == {"UTC"}, found
assert Group.objects.filter(name__startswith="kept").count() == 60
assert not Group.objects.filter(name__startswith="gone").exists()
"""
# Between two reads of one thread another takes the connection of the first.
READ = """
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.contrib.auth.models import Permission
from django.db import connection, transaction

def hold():
    transaction.set_autocommit(False)
    return Permission.objects.count()

rows = Permission.objects.iterator(chunk_size=1)
next(rows)
with ThreadPoolExecutor(1) as thread:
    assert thread.submit(hold).result() == 1 + len(list(rows))
    thread.submit(connection.close)
"""
RUNS, WAITS = "This process runs the schedule", "Another process runs the schedule"
LOCKS = """select count(*) from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted"""
TASKS = """
import time
from django_tasks import task

@task
def sleep(seconds):
    time.sleep(seconds)
"""
ENQUEUE = """
from pooled_tasks import sleep
sleep.enqueue(6)
for _ in range(100): sleep.enqueue(0.01)
"""
END_ALL = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ann'"
WAIT = """
import django; django.setup()
from django.db import connection
from djup_web.wait import NoDatabase, wait_for
try:
    wait_for(connection, 10, print)
except NoDatabase as error:
    print(error)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooler]:
    if not pooler.image():
        pytest.skip("no image has PgBouncer; name one in PGBOUNCER_IMAGE")
    folder = tmp_path_factory.mktemp("pooler")
    with pooler.running(folder, f"pooler-{os.getpid()}") as running:
        eventually(lambda: answers(running), 20, "the database answers")
        yield running


def environment(stack: Pooler, password: str = PASSWORD, pooled: str = "1") -> dict[str, str]:
    """The variables of a Django that reaches its database by the pooler."""
    (stack.folder / "pooled.py").write_text(SETTINGS)
    return os.environ | {
        **{"DEBUG": "1", "SQL_ENGINE": "django.db.backends.postgresql", "DATABASE_URL": ""},
        **{"SQL_HOST": "127.0.0.1", "SQL_PORT": str(stack.port()), "SQL_SSLMODE": ""},
        **{"SQL_DATABASE": DATABASE, "SQL_USER": USER, "SQL_PASSWORD": password},
        **{"SQL_POOLED": pooled, "DJANGO_SETTINGS_MODULE": "pooled"},
        **{"PYTHONPATH": str(stack.folder)},
    }


def django(stack: Pooler, *argv: str, password: str = PASSWORD, pooled: str = "1") -> str:
    """What Django prints that reaches its database by the pooler alone."""
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=ROOT / "project",
        env=environment(stack, password, pooled),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def connect(
    stack: Pooler, database: str = DATABASE, port: int = 0
) -> "psycopg2.extensions.connection":
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=port or stack.port(),
        user=USER,
        password=PASSWORD,
        dbname=database,
    )
    connection.autocommit = True
    return connection


def answers(stack: Pooler) -> bool:
    """Whether the database does, by way of the pooler."""
    try:
        with closing(connect(stack)) as connection, connection.cursor() as cursor:
            cursor.execute("select 1")
    except psycopg2.OperationalError:
        return False
    return True


def test_django_works_through_it(stack: Pooler) -> None:
    django(stack, "manage.py", "migrate", "--no-input", "--verbosity", "0")
    django(stack, "-c", USE)
    assert 0 < int(stack.sql(f"select {BACKENDS}")) <= POOL_SIZE


@contextmanager
def schedule(stack: Pooler, name: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs the schedule, with its output in a file."""
    production = {"DEBUG": "0", "SECRET_KEY": "0123456789" * 6, "ALLOWED_HOSTS": "example.org"}
    with (stack.folder / name).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "schedule"],
            cwd=ROOT / "project",
            env=environment(stack) | production | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_schedule_holds_its_lock_at_the_server(stack: Pooler) -> None:
    """Of two one runs the schedule, by a session that the pooler lends to nobody."""
    django(stack, "manage.py", "migrate", "--no-input", "--verbosity", "0")
    server = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": str(stack.server_port())}
    first, second = stack.folder / "first", stack.folder / "second"
    with schedule(stack, "alone") as alone:
        assert alone.wait(30) and "DATABASE_HOST" in (stack.folder / "alone").read_text()
    with schedule(stack, "first", **server) as holder, schedule(stack, "second", **server) as other:
        logs = {holder: first, other: second}
        eventually(lambda: any(RUNS in log.read_text() for log in logs.values()), 20, "one runs it")
        eventually(lambda: any(WAITS in log.read_text() for log in logs.values()), 20, "one waits")
        killed = next(one for one, log in logs.items() if RUNS in log.read_text())
        kept = logs[other if killed is holder else holder]
        assert RUNS not in kept.read_text()
        killed.kill()
        eventually(lambda: RUNS in kept.read_text(), 10, "the other takes over")
        assert stack.sql(f"{LOCKS} and application_name = 'djup schedule'") == "1"


def test_jobs_run_through_it_and_outlast_lost_connections(stack: Pooler) -> None:
    """None is lost, none runs twice; the long one renews its lease meanwhile."""
    django(stack, "manage.py", "migrate", "--no-input", "--verbosity", "0")
    (stack.folder / "pooled_tasks.py").write_text(TASKS)
    left = "select count(*) from djup_jobs_job where state <> 'DONE'"
    values = {"WORKER_PROCESSES": "2", "WORKER_LEASE_SECONDS": "4"}
    argv = [sys.executable, "manage.py", "worker", "--no-reload"]
    log = (stack.folder / "worker.log").open("wb")
    worker = subprocess.Popen(
        argv,
        cwd=ROOT / "project",
        env=environment(stack) | values,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        django(stack, "manage.py", "shell", "-c", ENQUEUE)
        running = "select count(*) from djup_jobs_job where state = 'RUNNING'"
        eventually(lambda: stack.sql(running) != "0", 20, "the jobs have begun")
        stack.sql(f"{END_ALL} and pid <> pg_backend_pid()")
        eventually(lambda: stack.sql(left) == "0", 30, "the jobs are done")
    finally:
        worker.terminate()
        status = worker.wait(20)
        log.close()
    assert status == 0, (stack.folder / "worker.log").read_text()
    assert stack.sql("select count(*), max(attempts) from djup_jobs_job") == "101|1"


def test_server_side_cursors_would_not(stack: Pooler) -> None:
    django(stack, "-c", READ)
    with pytest.raises(AssertionError, match=r"cursor \S+ does not exist"):
        django(stack, "-c", READ, pooled="0")


def test_many_clients_share_few_connections(stack: Pooler) -> None:
    together = Barrier(CLIENTS)
    port = stack.port()

    def client(_: int) -> int:
        connection = connect(stack, port=port)
        together.wait(60)  # all are connected at the same time
        with connection.cursor() as cursor:
            cursor.execute(f"select pg_sleep(0.1), {BACKENDS}")
            found = cursor.fetchone()
        together.wait(60)
        connection.close()
        return int(found[1]) if found else 0

    with ThreadPoolExecutor(CLIENTS) as threads:
        seen = list(threads.map(client, range(CLIENTS)))
    assert len(seen) == CLIENTS
    assert max(seen) <= POOL_SIZE


def test_a_database_that_was_away_is_found_again(stack: Pooler) -> None:
    stack.compose("restart", "--timeout", "5", "db")
    eventually(lambda: answers(stack), 15, "the pooler has found the database again")


def test_a_wrong_password_is_said_at_once(stack: Pooler) -> None:
    said = django(stack, "-c", WAIT, password="wr0ng")
    assert said.startswith("Cannot connect to the database at 127.0.0.1 port"), said
    assert said.count("\n") == 1 and "authentication failed" in said and "wr0ng" not in said, said


def test_a_password_that_the_server_has_not_is_in_the_log(stack: Pooler) -> None:
    stack.sql(f"alter role {USER} password 'another'")
    stack.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = ''")
    try:
        said = django(stack, "-c", WAIT)
    finally:
        quoted = PASSWORD.replace("'", "''")
        stack.sql(f"alter role {USER} password '{quoted}'")
    assert said.startswith("Waiting for") and "Cannot connect to the database at" in said, said
    failed = 'login failed: FATAL: password authentication failed for user "ann"'
    assert failed in stack.compose("logs", "pooler")
    eventually(lambda: answers(stack), 15, "the pooler goes on")


def test_its_tables_can_be_looked_at(stack: Pooler) -> None:
    with closing(connect(stack, "pgbouncer")) as connection, connection.cursor() as cursor:
        cursor.execute("show pools")
        names = [column[0] for column in cursor.description or ()]
        pools = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert "transaction" in [pool["pool_mode"] for pool in pools if pool["database"] == DATABASE]


def test_it_has_no_rights_and_shows_no_password(stack: Pooler) -> None:
    name = stack.compose("ps", "--quiet", "pooler").strip()
    found = json.loads(docker("inspect", name).stdout)[0]
    assert found["Config"]["User"] == "10001:10001"
    assert found["HostConfig"]["ReadonlyRootfs"] and found["HostConfig"]["CapDrop"] == ["ALL"]
    logged = docker("logs", name)
    assert PASSWORD not in json.dumps(found, ensure_ascii=False) + logged.stdout + logged.stderr


def test_swarm_takes_the_file(tmp_path: Path) -> None:
    lines = (ROOT / "compose/prod/pooler.yaml").read_text()
    values = dict.fromkeys(re.findall(r"\$\{(\w+):\?", lines), "1")
    (tmp_path / "pooler.yaml").write_text(f"{lines}\nnetworks:\n  back:\n    driver: overlay\n")
    argv = ("stack", "config", "--compose-file", str(tmp_path / "pooler.yaml"))
    assert "endpoint_mode: dnsrr" in docker(*argv, env=os.environ | values).stdout
