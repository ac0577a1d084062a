"""Delete jobs that ended long ago."""

from typing import Any

from django.core.management import BaseCommand, CommandParser
from djup_web.jobs.pruning import DAYS, DEAD_DAYS, prune


class Command(BaseCommand):
    help = "Deletes jobs that ended long ago; dead ones are kept longer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=float, default=DAYS)
        parser.add_argument("--dead-days", type=float, default=DEAD_DAYS)

    def handle(self, *args: Any, days: float, dead_days: float, **options: Any) -> None:
        self.stdout.write(f"Deleted {prune(days, dead_days)} finished jobs")
