"""The web dies at its start, dies of what is saved, or runs and does not serve."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from stacks import Checkout, Docker, docker, eventually

SETTINGS = "project/config/settings.py"
VIEWS = "project/home/views.py"
REFUSAL = """\
from django.core.exceptions import ImproperlyConfigured
raise ImproperlyConfigured("MAIL_HOST is missing: set it in .env.")
"""
ELSEWHERE = {
    "127.0.0.1": "Connection refused",
    "db.invalid": "could not translate host name",
}
SECONDS = 15  # from its death to the sentence; a start may take 120
MOST_LINES = 24  # of everything on the screen: Compose's progress, evidence, sentence

# The code, the file, what is added to it, and what the screen has to say.
DEATHS = [
    ("WEB02", SETTINGS, "DEBUG = = True\n", ("a syntax error in project/config/settings.py line",)),
    (
        "WEB03",
        SETTINGS,
        "import not_there\n",
        ("imports not_there, which", "inv lock"),
    ),
    ("WEB04", SETTINGS, REFUSAL, ("MAIL_HOST is missing: set it in .env.", "correct .env or")),
    (
        "IMG06",
        SETTINGS,
        "import sys; sys.modules |= {'psycopg': None, 'psycopg2': None}\n",
        ("cannot load a PostgreSQL driver", "psycopg[binary]", "inv lock"),
    ),
    ("WEB08", SETTINGS, "print(1 / 0)\n", ("ZeroDivisionError", "config/settings.py line")),
    (
        "WEB11",
        SETTINGS,
        "import os; MAIL_KEY = os.environ['MAIL_KEY']\n",
        ("the variable MAIL_KEY, which has no value in .env", "set MAIL_KEY in .env"),
    ),
    ("WEB01", SETTINGS, "import os; print('so long'); os._exit(7)\n", ("  | so long",)),
]
IDS = ["syntax", "package", "settings", "driver", "exception", "variable", "exit"]


@contextmanager
def added(stack: Checkout, path: str, text: str) -> Iterator[None]:
    """A file of the project with this at its end."""
    before = (stack.root / path).read_text()
    stack.write(path, f"{before}\n{text}")
    try:
        yield
    finally:
        stack.write(path, before)


def death(stack: Checkout) -> float:
    """When the web ended, as the engine or the file of its last line says."""
    if isinstance(stack.runtime, Docker):
        asked = docker("inspect", f"{stack.project}-web-1", "--format", "{{json .State}}")
        ended = json.loads(asked.stdout)["FinishedAt"]
        return datetime.fromisoformat(ended).timestamp()
    return (stack.root / ".state" / "web.log").stat().st_mtime


def assert_short(said: str) -> None:
    """The few lines that prove it, a sentence, a fix: no traceback, no wall."""
    assert "Traceback" not in said
    assert len(said.splitlines()) <= MOST_LINES, said
    assert len([line for line in said.splitlines() if line.startswith("  |")]) <= 8


@pytest.mark.fault("WEB01", "docker", "embedded")
@pytest.mark.fault("WEB02", "docker", "embedded")
@pytest.mark.fault("WEB03", "docker", "embedded")
@pytest.mark.fault("WEB04", "docker", "embedded")
@pytest.mark.fault("WEB08", "docker", "embedded")
@pytest.mark.fault("WEB11", "docker", "embedded")
@pytest.mark.fault("IMG06", "docker", "embedded")
@pytest.mark.parametrize(("code", "path", "text", "parts"), DEATHS, ids=IDS)
def test_a_death_at_the_start(
    stack: Checkout, code: str, path: str, text: str, parts: tuple[str, ...]
) -> None:
    stack.inv("down")
    with added(stack, path, text):
        said = stack.refused(code)
        assert time.time() - death(stack) < SECONDS
        assert_short(said)
        for part in (*parts, "inv logs --service web"):
            assert part in said
        assert stack.found_by_doctor() == {code}
    stack.inv("up")


@pytest.mark.fault("WEB02", "docker", "embedded")
def test_a_death_of_what_was_saved(stack: Checkout) -> None:
    before = stack.runtime.identities(stack.root)
    with added(stack, VIEWS, "def broken(:\n"):
        eventually(lambda: stack.found_by_doctor() == {"WEB02"}, 15, "its server ends")
    eventually(lambda: stack.get()[0] == 200, 15, "the page comes back by itself")
    assert stack.runtime.identities(stack.root) == before
    with added(stack, VIEWS, "def broken(:\n"):
        eventually(lambda: stack.get()[0] == 0, 15, "its server ends")
        started = time.monotonic()
        said = stack.refused("WEB02")
        assert time.monotonic() - started < 8  # a web that may yet get ready is given 10
        assert_short(said)
        assert "a syntax error in project/home/views.py line" in said
    stack.inv("up")


@pytest.mark.fault("WEB05", "docker", "embedded")
def test_a_host_that_is_not_allowed(stack: Checkout) -> None:
    stack.set("ALLOWED_HOSTS", "example.org")
    said = stack.refused("WEB05")
    assert "ALLOWED_HOSTS in .env lacks 127.0.0.1, so the page answers 400" in said
    assert "add 127.0.0.1 to ALLOWED_HOSTS in .env" in said and "inv up" in said
    assert stack.get()[0] == 400
    assert stack.found_by_doctor() == {"WEB05"}
    assert "not ready: the page answers 400" in stack.inv("status").stdout
    stack.set("ALLOWED_HOSTS", "example.org,127.0.0.1")
    assert stack.found_by_doctor() == {"RUN04"}  # .env is right, and what runs is of before
    stack.inv("up")
    assert stack.get()[0] == 200 and stack.found_by_doctor() == set()


@pytest.mark.fault("WEB07", "docker", "embedded")
def test_a_page_that_fails(stack: Checkout) -> None:
    with added(stack, VIEWS, "def index(request):\n    raise ValueError('a broken view')\n"):
        eventually(lambda: stack.get()[0] == 500, 15, "the new view is served")
        done = stack.inv("doctor", code=1)
        assert f"error WEB07: {stack.url} answers 500" in done.stdout
        assert "Traceback" not in done.stdout and done.stdout.count("\nerror ") == 1
        logs = stack.inv("logs", "--service", "web")
        assert "ValueError: a broken view" in logs.stdout + logs.stderr
    eventually(lambda: stack.get()[0] == 200, 15, "the page is back")
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("DB10", "docker", "embedded")
def test_a_database_elsewhere_that_is_not_there(stack: Checkout) -> None:
    stack.set("DB_WAIT_SECONDS", "1")
    stack.set("SQL_PORT", "1")
    for host, reason in ELSEWHERE.items():
        stack.set("SQL_HOST", host)
        said = stack.refused("DB10")
        assert time.time() - death(stack) < SECONDS
        assert_short(said)
        assert f"the database at {host} port 1" in said and reason in said
        assert "fix: correct SQL_HOST" in said
    assert "DB10" in stack.found_by_doctor()
    stack.refused("DB12", "db.password")
    for key in ("SQL_HOST", "SQL_PORT"):
        stack.set(key, "")
    stack.inv("up")


UNHEALTHY = """\
services:
  web: &sick
    healthcheck:
      test: [CMD-SHELL, "[ ! -e /srv/project/sick ] || { echo no port in the check; exit 3; }"]
      start_period: 0s
      interval: 1s
      retries: 1
  extra:
    <<: *sick
    image: ${POSTGRES_IMAGE}
    entrypoint: [sleep, infinity]
    init: true
    volumes: [../project:/srv/project]
"""


@pytest.mark.fault("WEB10", "docker")
def test_a_health_check_that_fails_beside_a_page_that_answers(stack: Checkout) -> None:
    local, sick = stack.root / "compose" / "local.yaml", stack.root / "project" / "sick"
    local.write_text(UNHEALTHY)
    stack.set("COMPOSE_FILE", f"{stack.values['COMPOSE_FILE']}:compose/local.yaml")
    stack.inv("up")
    stack.inv("compose", "--", "up", "--detach", "--no-deps", "extra")
    try:
        assert stack.found_by_doctor() == set()
        sick.touch()
        names = [f"{stack.project}-{service}-1" for service in ("web", "extra")]
        eventually(lambda: health(*names) == {"unhealthy"}, 20, "it is seen")
        done = stack.inv("doctor", code=1)
        for service in ("web", "extra"):
            assert f"error WEB10: the health check of {service} fails (exit code 3)" in done.stdout
        assert "  | no port in the check" in done.stdout and stack.get()[0] == 200
        assert "unhealthy (inv doctor" in stack.inv("status").stdout
        done = stack.inv("up")  # nothing is to be started: the page is served, so this is a note
        assert done.stdout == f"{stack.url}\n" and "note WEB10: the health check of" in done.stderr
        docker("rm", "--force", "--volumes", names[1])
        assert "  | no port in the check" in stack.refused("WEB10")
        sick.unlink()
        eventually(lambda: health(*names) == {"healthy"}, 20, "it is seen")
        assert stack.found_by_doctor() == set()
    finally:
        sick.unlink(missing_ok=True)
        docker("rm", "--force", "--volumes", f"{stack.project}-extra-1", check=False)
        local.unlink()


def health(*names: str) -> set[str]:
    """What docker says of the health of containers."""
    return set(docker("inspect", "--format", "{{.State.Health.Status}}", *names).stdout.split())


@pytest.mark.fault("DOCKER11", "docker")
def test_a_web_that_has_given_up_on_a_lost_name(stack: Checkout) -> None:
    """Nothing that runs shows that the name is lost: `inv up` sees by what the web ended with."""
    stack.set("DB_WAIT_SECONDS", "3")
    stack.inv("up")
    web, db, network = (f"{stack.project}{part}" for part in ("-web-1", "-db-1", "_default"))
    docker("network", "disconnect", network, db)
    docker("network", "connect", network, db)  # without the name that Compose gave it there
    docker("restart", web)
    state = ("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", web)
    eventually(lambda: docker(*state).stdout == "exited 69\n", 60, "it gives up")
    assert "--force-recreate" in stack.inv("up").stderr
    assert stack.found_by_doctor() == set()
