"""Wait for the database and migrate it: the job of a deploy, before any replica is replaced."""

import os
from typing import Any

from django.core.management import BaseCommand
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from config.env import integer
from service import exits
from service.migrating import migrate
from service.wait import NoDatabase, wait_for


class Command(BaseCommand):
    help = "Waits for the database and migrates it; what fails is said in a sentence."

    def handle(self, *args: Any, **options: Any) -> None:
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400)
        try:
            wait_for(connection, seconds, self.stdout.write)
        except NoDatabase as error:
            exits.end(exits.NO_DATABASE, str(error))
        end_with_us(connection)
        migrate(options["verbosity"])


def end_with_us(db: BaseDatabaseWrapper) -> None:
    """If this container is ended, as by a deploy that is broken off, so is its statement: the
    server would finish it, with the table locked for the code that goes on."""
    if db.vendor == "postgresql":
        with db.cursor() as cursor:
            cursor.execute("SET client_connection_check_interval = '1s'")
