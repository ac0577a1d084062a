"""An upgrade: all of it arrives, undo goes back and forth, and whatever ends it loses nothing."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from stacks import Checkout, Docker, Make, docker, eventually, other_system

OLD, NEW = "postgres:17-alpine", "postgres:18-alpine"
HOME = "/var/lib/postgresql"
CONTROL_FILES = "dirname $(find / -xdev -name pg_trgm.control | head -n 1)"
FILL = """
create table kept as select 'kept' as text;
create table numbered (id bigserial primary key, text text);
insert into numbered (text) select md5(n::text) from generate_series(1, 20000) n;
create extension pg_trgm;
create role clerk login password 'a secret of the clerk';
grant select on numbered to clerk;
alter role clerk set search_path = public, pg_temp;
alter database app set work_mem = '5MB';
alter system set log_min_duration_statement = '7s';
select pg_reload_conf();
"""
LOOK = """
select (select text from kept), (select count(*) from numbered),
  (select last_value from numbered_id_seq),
  (select string_agg(extname, ' ' order by extname) from pg_extension), current_setting('work_mem'),
  current_setting('log_min_duration_statement'), (select array_to_string(rolconfig, ' ')
  from pg_roles where rolname = 'clerk'), has_table_privilege('clerk', 'numbered', 'select'),
  (select count(*) from pg_database where datname = 'app@early'),
  current_setting('server_version_num')::int / 10000
"""
HELD = "kept|20000|20000|pg_trgm plpgsql|5MB|7s|search_path=public, pg_temp|t|1"


@pytest.fixture(scope="module")
def filled(make: Make, docker_runtime: Docker) -> Checkout:
    """A stack on PostgreSQL 17 with all that an upgrade has to take along, and a snapshot."""
    stack = make(docker_runtime, name="upgraded", POSTGRES_IMAGE=OLD)
    stack.inv("up")
    stack.inv("psql", stdin=FILL)
    stack.inv("db.snapshot", "--name", "early")
    return stack


@pytest.fixture
def old(filled: Checkout) -> Iterator[Checkout]:
    """It, up; afterwards it is on the old version again, with nothing else in the volume."""
    yield filled
    filled.inv("undo" if filled.values["POSTGRES_IMAGE"] != OLD else "up")
    assert_on(filled, 17)
    filled.inv("db.upgrade", "--finish", "--yes")


def clusters(stack: Checkout) -> set[str]:
    """The folders in the volume that hold a database, finished or not."""
    found = docker("exec", f"{stack.project}-db-1", "sh", "-c", f"cd {HOME}; ls -d */main").stdout
    return {line.removesuffix("/main") for line in found.split()}


def assert_on(stack: Checkout, version: int) -> None:
    """The stack serves, from a server of this version, with all that was there."""
    assert stack.get("readyz")[0] == 200
    assert stack.sql(LOOK) == f"{HELD}|{version}"


def logs_in(stack: Checkout, user: str, password: str) -> bool:
    """Over TCP, where the server asks for the password."""
    ask = 'psql --host "$(hostname)" --dbname app --command "select 1"'
    whom = ["--env", f"PGUSER={user}", "--env", f"PGPASSWORD={password}"]
    argv = ["exec", *whom, f"{stack.project}-db-1", "sh", "-c", ask]
    return not docker(*argv, check=False).returncode


@pytest.mark.fault("DB15", "docker")
def test_there_and_back_and_there_again(old: Checkout) -> None:
    done = old.inv("db.upgrade", "--to", "18")
    assert done.stdout == f"{old.url}\n" and "a secret" not in done.stderr
    assert old.values["POSTGRES_IMAGE"] == NEW
    assert_on(old, 18)
    assert logs_in(old, "clerk", "a secret of the clerk")
    assert not logs_in(old, "clerk", "another one")
    assert old.sql("select count(*) > 0 from pg_stats where tablename = 'numbered'") == "t"
    old.sql("create table later as select 1")
    assert "nothing to upgrade" in old.inv("db.upgrade").stderr
    old.refused("DB15", "db.upgrade", "--to", "17")

    assert "another inv undo goes back to it" in old.inv("undo").stderr
    assert old.values["POSTGRES_IMAGE"] == OLD
    assert_on(old, 17)
    assert old.sql("select to_regclass('later') is null") == "t"
    old.inv("undo")
    assert_on(old, 18)
    assert old.sql("select to_regclass('later') is null") == "f"
    old.inv("undo")

    old.refused("TASK02", "db.upgrade", "--finish")
    assert clusters(old) == {"17", "18"}
    assert "18 (PostgreSQL 18" in old.inv("db.upgrade", "--finish", "--yes").stderr
    assert clusters(old) == {"17"}
    old.refused("BAK12", "undo")


@pytest.mark.fault("DB06", "docker")
def test_the_same_version_on_another_system(old: Checkout) -> None:
    with other_system(f"{old.project}-elsewhere", OLD) as image:
        old.set("POSTGRES_IMAGE", image)
        assert "fix: inv db.upgrade " in old.refused("DB06")
        old.inv("db.upgrade")
        assert clusters(old) == {"17", "17-2"}
        assert_on(old, 17)
        old.inv("undo")
    assert old.values["POSTGRES_IMAGE"] == OLD


@pytest.mark.fault("DB17", "docker")
def test_an_extension_that_the_new_image_lacks(old: Checkout) -> None:
    before = old.runtime.identities(old.root)
    db = f"{old.project}-db-1"
    install = "cd $d && cp pg_trgm.control theirs.control && : >theirs--1.6.sql"
    docker("exec", db, "sh", "-c", f"d=$({CONTROL_FILES}); {install}")
    old.sql("create extension theirs")
    said = old.refused("DB17", "db.upgrade", "--to", "18")
    assert 'extension "theirs" is not available' in said
    assert f"The database is unchanged, on {OLD}" in said
    assert old.runtime.identities(old.root) == before and old.values["POSTGRES_IMAGE"] == OLD
    assert clusters(old) == {"17"}
    old.sql("drop extension theirs")
    eventually(lambda: old.get("readyz")[0] == 200, 20, "the web is up again")


def start_until(stack: Checkout, line: str) -> subprocess.Popen[str]:
    """An upgrade that has just said this."""
    child = stack.start("--echo", "db.upgrade", "--to", "18")
    assert child.stderr
    while line not in (said := child.stderr.readline()):
        assert said, "it ended before"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    """By a signal that nobody can handle."""
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()


def at_work(stack: Checkout) -> bool:
    """Whether there is a container of a new server."""
    names = docker("ps", "--all", "--format", "{{.Names}}").stdout.split()
    return f"{stack.project}-db-upgrade" in names


def test_killed_while_it_dumps(old: Checkout) -> None:
    kill(start_until(old, "pg_dump --format"))
    old.inv("up")
    assert_on(old, 17)
    assert clusters(old) == {"17"}
    assert not at_work(old)


@pytest.mark.fault("DB05", "docker")
def test_an_image_that_was_set_before_and_a_kill_before_the_switch(old: Checkout) -> None:
    old.inv("down")
    old.set("POSTGRES_IMAGE", NEW)
    assert "fix: inv db.upgrade " in old.refused("DB05")
    kill(start_until(old, "vacuumdb"))
    assert "fix: inv db.upgrade " in old.refused("DB05")
    old.inv("db.upgrade")
    assert_on(old, 18)
    assert clusters(old) == {"17", "18"}


def test_killed_between_the_switch_and_the_settings(old: Checkout) -> None:
    child = start_until(old, f"docker stop {old.project}-db-1")
    os.kill(child.pid, signal.SIGSTOP)
    try:  # the new server goes on by itself, and ends
        eventually(lambda: not at_work(old), 20, "the new server has ended")
    finally:
        kill(child)
    assert old.values["POSTGRES_IMAGE"] == OLD
    old.inv("up")
    assert old.values["POSTGRES_IMAGE"] == NEW
    assert_on(old, 18)
