"""Run the schedule: wait for the migrated database, then run what each app's schedule.py names."""

import os
import signal
import sys
from typing import Any

from django.apps import apps
from django.core.management import BaseCommand, CommandError
from django.db import connection
from djup_web import reloading
from djup_web.env import integer
from djup_web.wait import wait_or_end

APP = "djup_web.schedule"


class Command(BaseCommand):
    help = "Waits for the migrated database and runs the entries of each app's schedule.py."

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        check_installed()
        reloading.supervised("schedule")
        from djup_web.schedule import entries, service  # they need the app

        service.log_in_development()
        found = entries.discover()
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400)
        wait_or_end(connection, seconds, self.tell)
        reloading.ready()
        sys.exit(service.Service(found, os.environ).run())

    def tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def check_installed() -> None:
    """Raise where a project that was adopted has not switched the schedule on."""
    if not apps.is_installed(APP):
        raise CommandError(f'Add "{APP}" to INSTALLED_APPS, and migrate: it keeps the schedule.')
