"""What a run leaves behind that was cut off: the next one works, and doctor clears it away."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import Checkout, Make, Runtime, docker, eventually

HERE = "compose/local.yaml"
EXTRA = """\
services:
  extra:
    image: postgres:18-alpine
    entrypoint: [sleep, '600']
    init: true
    volumes: [postgres_data:/var/lib/postgresql:ro]
"""


@pytest.fixture
def fresh(make: Make, runtime: Runtime) -> Checkout:
    """A checkout that was never up."""
    return make(runtime, name="fresh")


def cluster(stack: Checkout) -> Path:
    """The folder in which the databases of all major versions lie."""
    if stack.runtime.name == "docker":
        volume = f"{stack.project}_postgres_data"
        shown = docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume, check=False)
        return Path(shown.stdout.strip() or "/nowhere")
    inside = stack.root / ".data"
    return inside if inside.exists() else Path("/var/lib/embedded-postgres") / stack.project


@pytest.mark.fault("DB13", "docker")
def test_a_database_killed_in_its_first_start(fresh: Checkout) -> None:
    first = fresh.start("up")
    db = f"{fresh.project}-db-1"
    # Half-made: the cluster has its version already, and not yet its database.
    unfinished = "cd /var/lib/postgresql/$PG_MAJOR && [ -e unfinished ] && [ -s main/PG_VERSION ]"
    deadline = time.monotonic() + 60
    while docker("exec", db, "sh", "-c", unfinished, check=False).returncode:
        assert time.monotonic() < deadline and first.poll() is None
    docker("kill", db)
    said = first.communicate(timeout=30)[1]
    assert first.returncode == 1 and "error DB13" in said, said
    assert "DB13" in fresh.found_by_doctor()
    typed = re.search(r"fix: (?:\./)?inv (\w+)", said)
    assert typed
    fresh.inv(typed[1])
    fresh.keep()
    fresh.inv("down")
    fresh.inv("up")
    fresh.assert_kept()
    assert fresh.found_by_doctor() == set()


@pytest.mark.fault("RUN05", "embedded")
def test_a_cluster_that_was_cut_off(fresh: Checkout) -> None:
    first = fresh.start("up")
    eventually(lambda: bool(list(cluster(fresh).glob("*/main.part*/PG_VERSION"))), 20, "it begins")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert fresh.found_by_doctor() == {"RUN05"}
    said = fresh.inv("doctor", code=1).stdout
    assert "fix: inv doctor --fix " in said
    fresh.inv("doctor", "--fix")
    assert list(cluster(fresh).glob("*/main*")) == []
    fresh.inv("up")
    fresh.keep()
    fresh.assert_kept()


@pytest.mark.fault("RUN05", "docker")
def test_containers_that_were_left_behind(stack: Checkout) -> None:
    before, composed = (stack.root / ".env").read_text(), stack.values["COMPOSE_FILE"]
    one_off = ("run", "--no-deps", "--no-TTY", "web", "true")  # as without --rm, or cut off
    stack.inv("compose", "--", *one_off)
    stack.write(HERE, EXTRA)
    stack.set("COMPOSE_FILE", f"{composed}:{HERE}")
    stack.inv("compose", "--", "up", "--detach", "--no-deps", "extra")
    left = leftovers(stack)  # not the other: it is in the files
    assert len(left) == 1 and "web-run" in left[0]
    stack.write(".env", before)
    left = leftovers(stack)
    assert len(left) == 2 and f"{stack.project}-extra-1" in left
    names = set(left) | {f"{stack.project}-db-1", f"{stack.project}-web-1"}
    assert containers(stack) == names
    fixed = stack.inv("doctor", "--fix")
    assert "fixing RUN05" in fixed.stderr
    assert containers(stack) == {f"{stack.project}-db-1", f"{stack.project}-web-1"}
    stack.assert_kept()


def leftovers(stack: Checkout) -> list[str]:
    """The names that doctor tells under RUN05."""
    said = stack.inv("doctor", code=1).stdout
    found = re.search(r"error RUN05: an interrupted run left behind: (.*)\.\n", said)
    assert found and "fix: inv doctor --fix " in said, said
    return found[1].split(", ")


def containers(stack: Checkout) -> set[str]:
    label = f"label=com.docker.compose.project={stack.project}"
    return set(docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").stdout.split())


@pytest.fixture
def bystander() -> Iterator[int]:
    """The number of a process of the server's account that is no server, as after a reboot."""
    account = "nobody" if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=account) as process:
        yield process.pid
        process.kill()


@pytest.mark.fault("RUN01", "docker", "embedded")
def test_a_stale_pid_file(stack: Checkout, bystander: int) -> None:
    """A killed server leaves it; after a reboot its number is somebody else's."""
    if stack.runtime.name == "docker":
        docker("kill", f"{stack.project}-db-1")
    else:
        os.kill(int((stack.root / ".state" / "db.lock").read_text()), signal.SIGKILL)
    if stack.runtime.name == "docker":
        volume = f"{stack.project}_postgres_data:/data"
        look = ["run", "--rm", "--entrypoint", "sh", "--volume", volume, "postgres:18-alpine"]
        assert docker(*look, "-c", "head -n 1 /data/18/main/postmaster.pid").stdout == "1\n"
    else:
        (note,) = cluster(stack).glob("*/main/postmaster.pid")
        lines = note.read_text().splitlines()
        note.write_text("\n".join([str(bystander), *lines[1:], ""]))
    stack.inv("up")
    stack.assert_kept()
    assert Path(f"/proc/{bystander}").exists()


def test_a_lock_of_a_dead_process(stack: Checkout) -> None:
    stack.set("MAIL_HOST", "mail.example.org")  # so that there is something to do
    first = stack.start("up")
    lock = stack.root / ".state" / "lock"
    eventually(lambda: lock.read_text().endswith(f"process {first.pid}"), 10, "it holds the lock")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert str(first.pid) in lock.read_text()
    stack.inv("up")
    stack.assert_kept()
