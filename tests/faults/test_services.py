"""Services besides web and db: added, ended, killed, and those that do not start."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import Checkout, docker, eventually

IMAGE = "${PYTHON_IMAGE:-python:3.14-alpine}"
STAYS = f"""\
services:
  stays:
    image: {IMAGE}
    command: [sh, -c, "echo here I am; exec sleep 1d"]
    init: true
    healthcheck: {{test: ["CMD", "true"], start_period: 30s, start_interval: 200ms}}
  works:
    image: {IMAGE}
    command: ["true"]
"""


@pytest.fixture
def services(stack: Checkout) -> Iterator[Checkout]:
    """A stack that may get services; afterwards it has none."""
    before = (stack.root / "pyproject.toml").read_text()
    yield stack
    stack.write("pyproject.toml", before)
    (stack.root / "compose" / "own.yaml").unlink(missing_ok=True)


def states(stack: Checkout) -> dict[str, str]:
    """The state of each service, as `inv status` has it."""
    found = json.loads(stack.inv("status", "--json").stdout)["services"]
    return {one["service"]: one["state"] for one in found}


def started(stack: Checkout, *names: str) -> str:
    """Add services, start them; what `up` said."""
    for name in names:
        stack.inv("service.add", name)
    return stack.inv("up").stderr


def kill(stack: Checkout, name: str) -> None:
    """End a service without it having heard of it."""
    if stack.runtime.name == "docker":
        docker("kill", f"{stack.project}-{name}-1")
        return
    os.kill(int((stack.root / ".state" / f"{name}.lock").read_text()), signal.SIGKILL)
    eventually(lambda: states(stack)[name] != "running", 10, "it has ended")


@pytest.mark.fault("RUN02", "docker", "embedded")
def test_services_of_the_toolkit_come_and_go(services: Checkout) -> None:
    stack = services
    web = stack.runtime.identities(stack.root)
    started(stack, "worker", "schedule")
    assert states(stack) == dict.fromkeys(("db", "schedule", "web", "worker"), "running")
    assert web <= stack.runtime.identities(stack.root), "the web and the database went on"
    listed = json.loads(stack.inv("services", "--json").stdout)
    assert {one["service"]: one["on"] for one in listed} == {
        **dict.fromkeys(("db", "schedule", "web", "worker"), True),
        "mail": False,
    }
    assert "The worker" in stack.inv("logs", "--service", "worker").stdout
    assert stack.inv("shell", "--service", "worker", "--", "-c", "echo $SQL_DATABASE").stdout
    stack.refused("RUN02", "logs", "--service", "cache")
    again = stack.inv("up")
    assert again.stderr == "" and again.stdout == f"{stack.url}\n", "all is up already"

    kill(stack, "worker")
    assert states(stack)["worker"] != "running" and stack.found_by_doctor()
    stack.inv("up")
    assert states(stack)["worker"] == "running" and stack.found_by_doctor() == set()

    stack.inv("service.remove", "worker")
    assert "worker is no longer" in stack.inv("up").stderr
    assert states(stack).keys() == {"db", "schedule", "web"}
    assert web <= stack.runtime.identities(stack.root)


@pytest.mark.fault("RUN08", "docker", "embedded")
def test_a_worker_that_does_not_start(services: Checkout) -> None:
    stack = services
    stack.inv("service.add", "worker")
    stack.set("WORKER_PROCESSES", "many")
    said = stack.refused("RUN08")
    assert "WORKER_PROCESSES is 'many'" in said and "the service worker" in said
    assert stack.get("readyz")[0] == 200, "the page is served all the same"
    stack.set("WORKER_PROCESSES", "2")
    stack.inv("up")
    assert states(stack)["worker"] == "running"


@pytest.mark.fault("RUN09", "docker", "embedded")
def test_a_service_that_nobody_has(services: Checkout) -> None:
    stack = services
    for name in ("own", "../own", "web", "Own"):
        assert name in stack.refused("RUN09", "service.add", name)
    assert "inv services" in stack.refused("RUN02", "service.remove", "worker")


@pytest.mark.fault("RUN10", "docker", "embedded")
def test_a_pyproject_that_is_spelled_in_another_way(services: Checkout) -> None:
    stack = services
    text = (stack.root / "pyproject.toml").read_text()
    assert "[tool.djup]" not in text
    stack.write("pyproject.toml", f"{text}\n[tool]\ndjup.services = []\n")
    assert 'services = ["worker"]' in stack.refused("RUN10", "service.add", "worker")


@pytest.mark.fault("RUN07", "docker")
def test_services_of_ones_own(services: Checkout) -> None:
    stack = services
    own = stack.root / "compose" / "own.yaml"
    own.write_text(STAYS)
    started(stack, "own")
    assert states(stack) == {
        **dict.fromkeys(("db", "stays", "web"), "running"),
        "works": "exited",
    }
    assert stack.inv("up").stderr == "" and stack.found_by_doctor() == set()
    assert "here I am" in stack.inv("logs", "--service", "stays").stdout

    own.write_text(STAYS.replace('["true"]', '[sh, -c, "echo no such luck; exit 3"]'))
    said = stack.refused("RUN08")
    assert "no such luck" in said and "works" in said

    own.write_text(STAYS.replace("exec sleep 1d", "exit 3"))
    assert "here I am" in stack.refused("RUN08")

    own.unlink()
    stack.refused("RUN07")
    stack.inv("service.remove", "own")
    stack.inv("up")
    assert states(stack).keys() == {"db", "web"} and stack.found_by_doctor() == set()


@pytest.mark.runtime("docker")
def test_a_service_of_a_compose_file_that_env_names(services: Checkout) -> None:
    """As plain Compose has it, without a word to the toolkit; what is started by hand stays."""
    stack = services
    (stack.root / "compose" / "own.yaml").write_text(STAYS)
    files = stack.values["COMPOSE_FILE"]
    stack.set("COMPOSE_FILE", f"{files}:compose/own.yaml")
    stack.inv("up")
    assert states(stack)["stays"] == "running"
    by_hand = f'services: {{hand: {{image: "{IMAGE}", command: [sleep, 1d], init: true}}}}\n'
    extra = stack.root / "compose" / "hand.yaml"
    extra.write_text(by_hand)
    try:
        stack.inv(
            "compose", "--", "--env-file", ".env", *_files(files, extra), "up", "--detach", "hand"
        )
        assert stack.inv("up").stderr == "", "it changes nothing"
        stack.set("COMPOSE_FILE", files)
        stack.inv("up")
        assert states(stack).keys() == {"db", "web"}
        assert docker("inspect", f"{stack.project}-hand-1", check=False).returncode == 0
    finally:
        extra.unlink()
        docker("rm", "--force", f"{stack.project}-hand-1", check=False)


def _files(files: str, extra: Path) -> list[str]:
    """Flags of docker compose that name files."""
    return [word for file in (*re.split(":", files), str(extra)) for word in ("--file", file)]
