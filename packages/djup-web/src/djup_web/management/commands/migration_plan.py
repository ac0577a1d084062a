"""Print what a deploy has to know of the database: above all, which migrations are to be applied,
and which of them the running code would not bear."""

import json
import os
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from djup_web import static_names
from djup_web.additive import blocking
from djup_web.database import connections_allowed
from djup_web.env import integer
from djup_web.migrations_state import dotted, read_migrations, strangers, unmade
from djup_web.wait import NoDatabase, wait_for


class Command(BaseCommand):
    help = (
        'Prints JSON: "unapplied", the migrations that the database lacks; "blocking", their '
        "operations that the previous code cannot run with, each with the reason; "
        '"unknown", the migrations that the database has and this code lacks; "unmade", the apps '
        'of this project whose models have changes without a migration; "connections", how many '
        'the database accepts from this user, 0 without a limit; "lacking", the static files '
        "that templates name and the image lacks, each with such a template."
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
            raise CommandError(f"Cannot migrate: {state.refusal}.", returncode=state.status)
        found = [asdict(one) for one in blocking(state.waiting)]
        loader = MigrationLoader(connection)
        plan = {
            "unapplied": state.unapplied,
            "blocking": found,
            "unknown": [dotted(*key) for key in strangers(loader)],
            "unmade": unmade(loader),
            "connections": connections_allowed(),
            "lacking": static_names.lacking(),
        }
        self.stdout.write(json.dumps(plan))
