"""Print the schedule: each entry, its last run, how it ended, and its next run."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandParser

from .schedule import check_installed


class Command(BaseCommand):
    help = "Lists the entries of the schedule: the last run, how it ended, and the next run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")

    def handle(self, *args: Any, **options: Any) -> None:
        check_installed()
        from djup_web.schedule import table  # it needs the app

        found = table.lines()
        as_json = json.dumps([asdict(line) for line in found])
        self.stdout.write(as_json if options["json"] else table.as_text(found))
