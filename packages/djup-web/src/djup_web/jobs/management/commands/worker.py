"""Wait for the migrated database and run jobs, until SIGTERM."""

import logging
import os
import sys
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser
from django.db import connections
from djup_web import exits, supervise
from djup_web.env import integer
from djup_web.jobs import queue
from djup_web.jobs.pool import Pool
from djup_web.jobs.slot import Options

LEAST_GRACE = 1
RELOAD_GRACE = 5
SPARE = 3  # seconds of the grace period in which a job that is not finished is given back


class Command(BaseCommand):
    help = "Waits for the migrated database and runs jobs."
    requires_system_checks = ()  # the web runs them; a worker starts often

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queue", action="append", default=[], help="Run jobs of this queue alone; repeatable."
        )
        parser.add_argument(
            "--reload",
            action=BooleanOptionalAction,
            default=settings.DEBUG,
            help="Start again when the code changes (default: with DEBUG).",
        )

    def handle(self, *args: Any, queue: list[str], reload: bool, **options: Any) -> None:
        refuse_other_databases()
        quiet_twins()
        supervised = supervise.FINGERPRINT in os.environ
        if reload and not supervised:
            supervise_this()
        processes = integer(os.environ, "WORKER_PROCESSES", 2, low=1, high=64)
        sys.exit(Pool(processes, read_options(queue, reload), watch=reload).run())


def refuse_other_databases() -> None:
    if (db := connections[queue.alias()]).vendor != "postgresql":
        exits.end(
            exits.SETTINGS, f"The worker needs PostgreSQL; the database is {db.display_name}."
        )


def quiet_twins() -> None:
    """Django has a line for each job as well, with less in it."""
    for name in ("django.tasks", "django_tasks"):
        logging.getLogger(name).addFilter(lambda record: False)


def supervise_this() -> None:
    """Become the process that starts this command again when the code changes, even into an
    error."""
    words = [sys.argv[1], "--reload", *(word for word in sys.argv[2:] if word != "--reload")]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "djup_web.supervise", supervise.RUN, *words])


def read_options(queues: list[str], reload: bool) -> Options:
    grace = integer(os.environ, "WORKER_GRACE_SECONDS", 30, low=1, high=86400)
    return Options(
        queues=queues,
        lease=integer(os.environ, "WORKER_LEASE_SECONDS", 20, low=3, high=3600),
        # Who waits for changed code to run does not wait for a long job.
        grace=RELOAD_GRACE if reload else max(LEAST_GRACE, grace - SPARE),
        db_wait=integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400),
        health_file=path_of("HEALTH_FILE"),
        ready_file=path_of(supervise.READY),
    )


def path_of(key: str) -> Path | None:
    return Path(os.environ[key]) if os.environ.get(key) else None
