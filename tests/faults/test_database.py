"""`.env` and the database do not fit each other, or the database goes away under the web."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stacks import Checkout, docker, eventually, is_alive

# By then docker has called a web unhealthy that has no database: three checks of ten seconds.
UNHEALTHY_SECONDS = 45
OTHERS = {"SQL_USER": "somebody", "SQL_DATABASE": "elsewhere", "SQL_PASSWORD": "another-long-one"}


@pytest.fixture
def stack(stack: Checkout) -> Iterator[Checkout]:
    """After the test, let its .env fit the database again: `apply_fix` needs that as well."""
    before = (stack.root / ".env").read_text()
    yield stack
    stack.write(".env", before)
    stack.inv("db.password")
    drop = ("drop database if exists elsewhere", "drop role if exists somebody")
    stack.inv("psql", "--", "--quiet", *(word for what in drop for word in ("-c", what)))


def apply_fix(stack: Checkout, said: str) -> str:
    """Type the command that the screen names; what it said."""
    found = re.search(r"  fix: (?:run: )?inv ([^(\n]+?)(?:  |\n| \()", said)
    assert found, said
    done = stack.inv(*found[1].split())
    assert done.stdout == f"{stack.url}\n"
    return done.stdout + done.stderr


def set_all(stack: Checkout, *keys: str) -> None:
    for key in keys:
        stack.set(key, OTHERS[key])


@pytest.mark.fault("DB02", "docker", "embedded")
def test_another_password(stack: Checkout) -> None:
    before = stack.values["SQL_PASSWORD"]
    set_all(stack, "SQL_PASSWORD")
    said = stack.refused("DB02")
    assert "inv db.password" in said and "another-long" not in said
    assert "DB02" in stack.found_by_doctor()
    apply_fix(stack, said)
    stack.assert_kept()
    assert stack.found_by_doctor() == set()
    stack.set("SQL_PASSWORD", before)
    assert "fixing DB02" in stack.inv("doctor", "--fix", code=None).stderr
    assert "DB02" not in stack.found_by_doctor()


@pytest.mark.fault("DB03", "docker", "embedded")
def test_another_user(stack: Checkout) -> None:
    set_all(stack, "SQL_USER")
    said = stack.refused("DB03")
    assert "no login role somebody" in said and re.search(r"It has: .*\bapp\b", said)
    assert "DB03" in stack.found_by_doctor()
    # A password cannot be given to somebody who is not there.
    stack.refused("DB03", "db.password")
    apply_fix(stack, said)
    assert stack.sql("select current_user") == "somebody"
    stack.assert_kept()


@pytest.mark.fault("DB04", "docker", "embedded")
def test_another_database(stack: Checkout) -> None:
    set_all(stack, "SQL_DATABASE")
    said = stack.refused("DB04")
    assert "no database elsewhere" in said and re.search(r"It has: app\b", said)
    assert "DB04" in stack.found_by_doctor()
    apply_fix(stack, said)
    # A new one, with all migrations; the row is in the other, and there after setting it back.
    assert stack.get("readyz")[0] == 200
    assert stack.sql("select to_regclass('kept') is null, current_database()") == "t|elsewhere"


@pytest.mark.fault("DB02", "docker", "embedded")
@pytest.mark.fault("DB04", "docker", "embedded")
def test_all_wrong_at_once_is_mended_one_by_one(stack: Checkout) -> None:
    stack.sql("create role somebody superuser login password 'not the one of .env'")
    set_all(stack, *OTHERS)
    said = stack.refused("DB04")
    typed = re.search(r"  fix: inv (\S+)", said)
    assert typed
    apply_fix(stack, stack.refused("DB02", typed[1]))
    assert stack.get("readyz")[0] == 200
    assert stack.sql("select current_user, current_database()") == "somebody|elsewhere"


@pytest.mark.fault("DB02", "docker", "embedded")
def test_a_password_with_every_sign_on_a_stack_that_is_down(stack: Checkout) -> None:
    stack.inv("down")
    password = "a b#c$d\"e'f\\g"
    stack.set("SQL_PASSWORD", r"""'a b#c$d"e\'f\g'""")
    assert stack.values["SQL_PASSWORD"] == password
    done = stack.inv("db.password")
    assert done.stdout == f"{stack.url}\n" and "f\\g" not in done.stderr
    stack.assert_kept()
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("DB02", "docker", "embedded")
def test_an_env_that_was_made_anew(stack: Checkout) -> None:
    project, port = stack.project, stack.values["WEB_PORT"]
    stack.inv("down")
    (stack.root / ".env").unlink()
    stack.inv("status")
    stack.set("RUNTIME", stack.runtime.name)
    stack.set("WEB_PORT", port)
    assert stack.project == project
    apply_fix(stack, stack.refused("DB02"))
    stack.assert_kept()


@pytest.mark.fault("DB22", "docker")
def test_a_database_that_still_recovers(stack: Checkout) -> None:
    stack.sql("alter system set hot_standby = off")
    db, web = f"{stack.project}-db-1", f"{stack.project}-web-1"
    folder = stack.sql("show data_directory")
    docker("exec", db, "touch", f"{folder}/standby.signal")
    docker("restart", db, web)
    with stack.start("up", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        time.sleep(UNHEALTHY_SECONDS)
        assert up.poll() is None, up.communicate()
        assert "DB22" in stack.found_by_doctor()
        docker("exec", "--user", "postgres", db, "pg_ctl", "promote", "-D", folder)
        said, log = up.communicate(timeout=120)
    assert up.returncode == 0 and said == f"{stack.url}\n", log
    stack.sql("alter system reset hot_standby")
    stack.assert_kept()


@contextmanager
def followed_log(stack: Checkout) -> Iterator[list[str]]:
    """What the database's log gets meanwhile, even if its container is made anew."""
    log: list[str] = []
    argv = ["docker", "logs", "--follow", f"{stack.project}-db-1"]
    if stack.runtime.name == "embedded":
        argv = ["tail", "-n", "+1", "-F", str(stack.root / ".state" / "db.log")]
    to = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(argv, **to) as follower:
        yield log
        time.sleep(0.2)
        follower.terminate()
        log.append(follower.communicate()[0])


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """The command lines of all processes, those in containers as well, asked without a pause."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:  # has ended meanwhile
                    continue
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.fault("DB02", "docker", "embedded")
@pytest.mark.fault("DB03", "docker", "embedded")
def test_no_secret_is_shown_logged_or_listed(stack: Checkout) -> None:
    stack.sql("alter system set log_statement = 'all'")
    stack.sql("select pg_reload_conf()")
    said, logs = "", ""
    with watched_processes() as seen:
        for task, user, secret in (
            ("db.password", "app", "first-secret-of-ours"),
            ("db.create", "somebody", "second-secret-of-ours"),
        ):
            stack.set("SQL_USER", user)
            stack.set("SQL_PASSWORD", secret)
            with followed_log(stack) as log:
                done = stack.inv("--echo", task)
            assert "rolcanlogin" in log[0]  # it does log the statements
            said, logs = said + done.stdout + done.stderr, logs + log[0]
    stack.sql("alter system reset log_statement")
    stack.sql("select pg_reload_conf()")
    assert "psql" in said
    assert any("db.password" in argv for argv in seen) and any("psql" in argv for argv in seen)
    for secret in ("first-secret", "second-secret"):
        assert secret not in said and secret not in logs
        assert not [argv for argv in seen if secret in argv]


def web_identity(stack: Checkout) -> str:
    """What changes when the web is made anew or started anew."""
    if stack.runtime.name == "docker":
        fields = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
        return docker("inspect", "--format", fields, f"{stack.project}-web-1").stdout
    return (stack.root / ".state" / "web.lock").read_text()


def assert_out_of_reach(stack: Checkout) -> None:
    """The page, status and doctor say that the database is away, and why."""
    eventually(lambda: stack.get()[0] == 503, 10, "the page answers 503")
    page = stack.get()[1]
    assert "The database cannot be reached" in page and re.search(r"<code>[^<]{9}", page), page
    status = json.loads(stack.inv("status", "--json").stdout)
    assert not status["ready"] and status["reason"]
    assert {s["service"]: s["state"] == "running" for s in status["services"]} == {
        "db": False,
        "web": True,
    }


CODE_OF_DEAD = {"docker": "DB13", "embedded": "RUN01"}


@pytest.mark.fault("DB13", "docker")
@pytest.mark.fault("RUN01", "embedded")
def test_a_database_that_is_killed_under_the_web(stack: Checkout) -> None:
    stack.kill_database()
    assert_out_of_reach(stack)
    assert CODE_OF_DEAD[stack.runtime.name] in stack.found_by_doctor()
    said = stack.inv("doctor", code=1).stdout
    assert "fix: " in said and "inv up" in said
    stack.inv("up")
    stack.assert_kept()
    assert stack.get()[0] == 200
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("DB13", "docker")
def test_a_page_that_recovers_by_itself(stack: Checkout) -> None:
    web = web_identity(stack)
    stack.kill_database()
    assert_out_of_reach(stack)
    docker("start", f"{stack.project}-db-1")
    eventually(lambda: stack.get()[0] == 200, 20, "the page is back")
    assert web_identity(stack) == web
    stack.assert_kept()


@pytest.mark.fault("RUN01", "docker", "embedded")
def test_a_database_that_was_stopped(stack: Checkout) -> None:
    if stack.runtime.name == "docker":
        docker("stop", f"{stack.project}-db-1")
    else:
        number = int((stack.root / ".state" / "db.lock").read_text())
        os.kill(number, signal.SIGINT)
        eventually(lambda: not is_alive(number), 10, "it ends")
    assert_out_of_reach(stack)
    stack.refused("RUN01", "psql")
    assert "RUN01" in stack.found_by_doctor()
    web = web_identity(stack)
    stack.inv("up")
    stack.assert_kept()
    if stack.runtime.name == "docker":
        assert web_identity(stack) == web
