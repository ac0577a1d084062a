"""Wait for the database and migrate it: the job of a deploy, before any replica is replaced."""

import os
import sys
from contextlib import redirect_stderr
from typing import Any

from django.core.management import BaseCommand
from django.db import connection
from djup_web import exits
from djup_web.env import integer
from djup_web.migrating import migrate
from djup_web.wait import NoDatabase, wait_for


class Command(BaseCommand):
    help = "Waits for the database and migrates it; reports a failure in one sentence."

    def handle(self, *args: Any, **options: Any) -> None:
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400)
        try:
            wait_for(connection, seconds, self.stdout.write)
        except NoDatabase as error:
            exits.end(exits.NO_DATABASE, str(error))
        # In one stream: the engine's log does not keep two in order.
        with redirect_stderr(sys.stdout):
            migrate(options["verbosity"])
