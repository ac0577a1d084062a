"""Load the example data of the apps and, on request, make a superuser for development."""

from typing import Any

from django.core.management import BaseCommand, CommandParser
from djup_web import development_admin
from djup_web.seeding import fixtures, load

NONE_FOUND = """\
No example data. An app has its own in its folder, such as project/shop/fixtures/seed.json;
`inv manage -- dumpdata shop --indent 2` prints such a file."""


class Command(BaseCommand):
    help = "Loads fixtures/seed.json of each app in project/; existing rows are not changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--admin",
            action="store_true",
            help="Create the superuser that the variables DJANGO_SUPERUSER_ name (requires DEBUG).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["admin"]:
            development_admin.check()
        found = fixtures()
        for loaded in load(found):
            self.stdout.write(str(loaded))
        if not found:
            self.stdout.write(NONE_FOUND)
        if options["admin"]:
            self.stdout.write(development_admin.make())
