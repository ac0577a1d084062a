"""Print which migrations are to be applied, and which of them the running code would not bear."""

import json
import os
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import connection

from config.env import integer
from service.additive import blocking
from service.migrations_state import read_migrations
from service.wait import NoDatabase, wait_for


class Command(BaseCommand):
    help = (
        'Prints JSON: "unapplied", the migrations that the database lacks, and "blocking", those '
        "operations in them that cannot run beside the code of before, each with the reason."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # A container's network may know no names in its first moments.
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 10, low=0, high=86400)
        try:
            wait_for(connection, seconds, self.stderr.write)
        except NoDatabase as error:
            raise CommandError(str(error)) from error
        state = read_migrations()
        if state.refusal:
            raise CommandError(f"Cannot migrate: {state.refusal}.")
        found = [asdict(one) for one in blocking(state.waiting)]
        self.stdout.write(json.dumps({"unapplied": state.unapplied, "blocking": found}))
