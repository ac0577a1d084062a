"""Errors arrive at a real receiver of Sentry's protocol, without secrets and personal data."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bugsink
import pytest
from checkout import first_port
from stacks import eventually

from djup import ROOT
from djup.host import ports

pytestmark = pytest.mark.runtime("embedded")  # both runtimes start the same code
KEY = "a-secret-key-of-fifty-characters-0123456789-abcdefgh"
PASSWORD = "of the database"
SETTINGS = """\
from config.settings import *
ROOT_URLCONF = "broken"
"""
URLS = f"""\
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def page(request):
    raise ValueError("no postgres://ann:{PASSWORD.replace(" ", "-")}@db/shop, and {KEY}")

urlpatterns = [path("broken/", page)]
"""
# As gunicorn serves: the settings are read before it forks.
SERVER = ["-m", "gunicorn", "--preload", "--workers=1", "config.wsgi:application"]
LOGS = """\
import logging
from django.db import IntegrityError
try:
    raise IntegrityError("duplicate key\\nDETAIL:  Key (email)=(ann@example.org) already exists.")
except IntegrityError:
    logging.getLogger("jobs").exception("The job %s failed", 7)
"""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bugsink.Receiver]:
    with bugsink.running(tmp_path_factory.mktemp("bugsink"), first_port() + 60) as running:
        yield running


def environment(receiver: bugsink.Receiver, folder: Path) -> dict[str, str]:
    """That of a container in production."""
    (folder / "broken_settings.py").write_text(SETTINGS)
    (folder / "broken.py").write_text(URLS)
    given = {
        "DJANGO_SETTINGS_MODULE": "broken_settings",
        "PYTHONPATH": f"{folder}:{ROOT}/packages/djup-web/src:{receiver.packages}",
        "SENTRY_DSN": receiver.dsn,
        "SECRET_KEY": KEY,
        "SQL_ENGINE": "django.db.backends.postgresql",
        "SQL_DATABASE": "shop",
        "SQL_USER": "shop",
        "SQL_PASSWORD": PASSWORD,
        "SQL_HOST": "db",
        "ALLOWED_HOSTS": "127.0.0.1",
        "PRODUCTION": "1",
        "WEB_IMAGE": "registry.example.org/team/shop-web:0123abcd-4567",
        "STACK": "shop",
    }
    return {**os.environ, **given}


@contextmanager
def serving(environment: dict[str, str], port: int) -> Iterator[None]:
    argv = [sys.executable, *SERVER, f"--bind=127.0.0.1:{port}"]
    server = subprocess.Popen(argv, cwd=ROOT / "project", env=environment)
    try:
        eventually(lambda: bugsink.answers(port, "healthz"), 30, "gunicorn serves")
        yield
    finally:
        server.terminate()
        server.wait(20)


def command(environment: dict[str, str], code: str) -> None:
    """What `manage.py` does, in a process of its own, as the worker and the schedule are."""
    argv = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    subprocess.run(argv, cwd=ROOT / "project", env=environment, stderr=subprocess.DEVNULL)


def new_events(receiver: bugsink.Receiver, before: int, count: int) -> list[dict[str, Any]]:
    eventually(lambda: len(receiver.events()) >= before + count, 30, "the error has arrived")
    return receiver.events()[before:]


def test_an_error_of_the_web(receiver: bugsink.Receiver, tmp_path: Path) -> None:
    port = ports.free_port(first_port() + 65)
    before = len(receiver.events())
    query = "broken/?email=ann@example.org"
    with serving(environment(receiver, tmp_path), port):
        argv = ["curl", "--silent", "--cookie", "sessionid=cookie-of-ann", "--data", "name=ann-lee"]
        subprocess.run([*argv, f"http://127.0.0.1:{port}/{query}"], check=False)
        [event] = new_events(receiver, before, 1)
    assert event["release"] == "shop-web@0123abcd-4567"
    assert event["environment"] == "production" and event["tags"]["stack"] == "shop"
    assert event["tags"]["request_id"]
    [error] = event["exception"]["values"]
    assert error["type"] == "ValueError" and "postgres://ann:********@db" in error["value"]
    text = json.dumps(event)
    for secret in (KEY, PASSWORD.replace(" ", "-"), "cookie-of-ann", "ann@example", "ann-lee"):
        assert secret not in text, secret


def test_errors_of_other_processes(receiver: bugsink.Receiver, tmp_path: Path) -> None:
    """One that is logged, as a worker logs a job that fails, and one that ends the process."""
    before = len(receiver.events())
    given = environment(receiver, tmp_path) | {"PRODUCTION": "", "DEBUG": "1"}
    command(given | {"SENTRY_ENVIRONMENT": "staging"}, LOGS)
    command(given, "1 / 0")
    logged, ended = new_events(receiver, before, 2)
    assert logged["logger"] == "jobs" and logged["environment"] == "staging"
    assert "duplicate key" in json.dumps(logged) and "ann@example" not in json.dumps(logged)
    assert ended["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert ended["environment"] == "development"
