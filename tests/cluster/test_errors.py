"""Errors of each service of a deployed site, at a real receiver of Sentry's protocol."""

import shutil
from pathlib import Path
from typing import Any

import bugsink
from checkout import first_port
from deployed import Site, one_node
from stacks import eventually
from traffic import Visitor

from djup import ROOT

BRIDGE = "172.17.0.1"  # of the engine: this machine, as containers reach it
INDEX = "def index(request: HttpRequest) -> HttpResponse:\n"
FAILS = "    if request.GET:\n        raise ValueError('the page fails')\n"
TASKS = """
from django_tasks import task
from djup_web.jobs import retry

@task
@retry(attempts=1)
def work():
    raise ValueError("the job fails")
"""
SCHEDULE = """
from djup_web.schedule import every
from home.tasks import work

@every("2s")
def tick():
    work.enqueue()
    raise ValueError("the entry fails")
"""
SENTENCES = {"the page fails", "the job fails", "the entry fails", "division by zero"}


def with_what_fails(site: Site) -> None:
    """Commit the package, as docs/how-to/errors.md says, and services that fail."""
    requirements = site.stack.root / "requirements/base.in"
    requirements.write_text(f"{requirements.read_text()}sentry-sdk\n")
    # The checkout's .venv is lent, and has no programs of its own.
    shutil.copy(ROOT / ".venv/bin/uv", site.stack.root / ".venv/bin/uv")
    site.stack.inv("lock")
    for name in ("worker", "schedule"):
        site.stack.inv("service.add", name)
    site.add("project/home/tasks.py", TASKS)
    site.add("project/home/schedule.py", SCHEDULE)
    site.change("project/home/views.py", INDEX, INDEX + FAILS)


def by_sentence(receiver: bugsink.Receiver) -> dict[str, dict[str, Any]]:
    """An event for each sentence that an error has."""
    errors = [(event, event["exception"]["values"][-1]) for event in receiver.events()]
    return {error["value"]: event for event, error in errors}


@one_node
def test_errors_of_each_service_arrive(site: Site, tmp_path: Path) -> None:
    with (
        bugsink.running(tmp_path, first_port() + 70, BRIDGE) as receiver,
        site.taken_back(),
    ):
        with_what_fails(site)
        site.stack.set("SENTRY_DSN", receiver.dsn)
        site.deploy()
        assert Visitor(site.place, "reader").get("/?x=1")[0].status == 500
        site.inv("deploy.manage", "--", "shell", "-c", "1 / 0", code=1)
        eventually(lambda: by_sentence(receiver).keys() >= SENTENCES, 60, "all have arrived")
        image = site.status()["services"][-1]["image"]
        for sentence in SENTENCES:
            event = by_sentence(receiver)[sentence]
            assert event["release"] == image.replace(":", "@")
            assert event["environment"] == "production" and event["tags"]["stack"] == site.name
    site.deploy()
