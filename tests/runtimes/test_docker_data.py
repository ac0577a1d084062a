"""Docker: data survives versions of PostgreSQL, and what goes wrong at a start loses none."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest
from stacks import Checkout, Docker, Make, docker, eventually, with_flock

VERSIONS = [("17", "18"), ("18", "17")]


@pytest.mark.parametrize(("version", "other"), VERSIONS)
def test_postgres_versions(make: Make, docker_runtime: Docker, version: str, other: str) -> None:
    stack = make(docker_runtime, POSTGRES_IMAGE=f"postgres:{version}-alpine")
    stack.inv("up")
    assert stack.sql("show server_version_num").startswith(version)
    stack.sql("create table kept as select 'kept' as text")
    stack.inv("down")
    stack.inv("up")
    assert stack.sql("select text from kept") == "kept"
    # The named volume and no anonymous one, which a `down` would leave behind.
    assert docker_runtime.data_volumes(stack.root) == {
        f"{stack.project}_{name}" for name in ("postgres_data", "media")
    }

    stack.set("POSTGRES_IMAGE", f"postgres:{other}-alpine")
    started = time.monotonic()
    refused = stack.inv("up", code=1)
    assert time.monotonic() - started < 30
    assert f"error DB05: the volume holds data of PostgreSQL {version};" in refused.stderr
    assert f"set POSTGRES_IMAGE=postgres:{version}-alpine in .env" in refused.stderr

    stack.set("POSTGRES_IMAGE", f"postgres:{version}-alpine")
    stack.inv("up")
    assert stack.sql("select text from kept") == "kept"


def test_a_second_server_waits_for_the_first(make: Make, docker_runtime: Docker) -> None:
    """Swarm starts one where it takes a node for lost that is not; two servers that write to the
    same files lose what was accepted."""
    stack = make(docker_runtime)
    first, second = f"{stack.project}-db-1", f"{stack.project}-second"
    with with_flock(f"{stack.project}-with-flock", "postgres:18-alpine") as image:
        stack.set("POSTGRES_IMAGE", image)
        stack.inv("up")
        stack.sql("create table kept (text text)")
        stack.inv("compose", "--", "run", "--detach", "--no-TTY", "--name", second, "db")
        eventually(lambda: "waiting until it ends" in said_by(second), 30, "the second waits")
        stack.sql("insert into kept values ('written while the second waits')")
        docker("kill", first)
        ask = (
            "exec",
            second,
            "psql",
            "-U",
            stack.values["SQL_USER"],
            "-At",
            stack.values["SQL_DATABASE"],
        )
        count = (*ask, "-c", "select count(*) from kept")
        eventually(lambda: docker(*count, check=False).stdout == "1\n", 60, "the second serves")
        docker("start", first)
        waits = lambda: said_by(first).endswith("waiting until it ends.\n")  # noqa: E731
        eventually(waits, 30, "the first waits in turn")
        started = time.monotonic()
        docker("stop", first)
        assert time.monotonic() - started < 5, "one that waits ends when it is told to"
        docker("rm", "--force", second)
        stack.inv("up")
        assert stack.sql("select count(*) from kept") == "1"
        stack.inv("nuke", "--yes", "--no-backup")


def said_by(container: str) -> str:
    logs = docker("logs", container)
    return logs.stdout + logs.stderr


def test_a_syntax_error_before_and_after(make: Make, docker_runtime: Docker) -> None:
    stack = make(docker_runtime)
    stack.inv("build")
    settings = "project/config/settings.py"
    good = stack.write(settings, "DEBUG = = True\n")
    started = time.monotonic()
    failed = stack.inv("up", code=1)
    assert time.monotonic() - started < 20
    for part in ("SyntaxError", "DEBUG = = True", "error WEB02", "inv up"):
        assert part in failed.stderr
    assert failed.stdout == ""
    # Commands still run, beside the dead web, so that one can look around.
    assert "a separate container" in stack.inv("manage", "--", "version", code=None).stderr

    stack.write(settings, good)
    stack.inv("up")
    assert stack.get()[0] == 200
    before = docker_runtime.identities(stack.root)

    stack.write(settings, "DEBUG = = True\n")
    eventually(lambda: stack.get()[0] == 0, 15, "the server ends on the error")
    time.sleep(1.5)  # long enough for a supervisor that does not wait to have given up
    stack.write(settings, good)
    eventually(lambda: stack.get()[0] == 200, 20, "the page is back after the fix")
    assert docker_runtime.identities(stack.root) == before


@pytest.mark.parametrize("moment", ["build", "up"])
def test_ctrl_c_in_the_middle(make: Make, docker_runtime: Docker, moment: str) -> None:
    stack = make(docker_runtime)
    # However much of it is cached: a step of its own that takes a while.
    dockerfile = (stack.root / "compose/web/Dockerfile").read_text()
    base = "FROM ${PYTHON_IMAGE} AS base\n"
    assert base in dockerfile
    slow = f"{base}RUN sleep 3 # {time.time()}\n" if moment == "build" else base
    stack.write("compose/web/Dockerfile", dockerfile.replace(base, slow))
    child = stack.start("up")
    assert child.stderr
    while f"docker compose {moment}" not in child.stderr.readline():
        assert child.poll() is None
    time.sleep(0.7)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    stack.inv("up")
    assert stack.get("readyz")[0] == 200


@pytest.fixture(scope="module")
def idle(make: Make, docker_runtime: Docker) -> Checkout:
    """A checkout with an .env, and nothing running."""
    return make(docker_runtime, DEBUG="1")


def test_two_at_once(idle: Checkout) -> None:
    first, second = idle.start("up"), idle.start("up")
    ends = [child.communicate(timeout=120) for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0], ends
    assert sum("in this checkout to finish" in err for _, err in ends) == 1
    assert [out for out, _ in ends] == [f"{idle.url}\n"] * 2


def test_what_a_killed_task_has_begun_is_waited_for(idle: Checkout) -> None:
    """Its docker goes on to end what the next one is to start; it is held up meanwhile."""
    idle.inv("up")
    down = idle.start("down")
    assert down.stderr
    while "docker compose down" not in down.stderr.readline():
        assert down.poll() is None
    while not (found := compose_of(down)):
        assert down.poll() is None
    (compose,) = found
    compose.suspend()
    try:
        down.kill()
        again = idle.start("up")
        assert again.stderr and "in this checkout to finish" in again.stderr.readline()
    finally:
        compose.resume()
    again.communicate(timeout=120)
    assert again.returncode == 0 and idle.get()[0] == 200
    down.communicate()


def compose_of(inv: subprocess.Popen[str]) -> list[psutil.Process]:
    """The `docker compose down` that it runs, if it does so now."""
    with suppress(psutil.NoSuchProcess):  # another command of its ends meanwhile
        return [one for one in psutil.Process(inv.pid).children() if "down" in one.cmdline()]
    return []
