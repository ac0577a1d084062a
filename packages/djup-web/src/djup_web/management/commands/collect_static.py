"""Collect the static files when the image is built, whichever storage the project has."""

import shutil
from pathlib import Path
from typing import Any

import django
from django.core.management import BaseCommand, CommandParser, call_command
from djup_web import static_files


class Command(BaseCommand):
    help = (
        "Runs collectstatic if the files are stored in a folder of the image; does nothing if "
        "they are stored somewhere else, such as in a bucket."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--remove-sources",
            action="store_true",
            help="Remove the source of Django's own files after the copy, to keep the image small.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if static_files.collected() is None:
            self.stdout.write("No static files are collected: they are not stored in the image.")
            return
        call_command(
            "collectstatic",
            interactive=False,
            verbosity=0,
            stdout=self.stdout,
            stderr=self.stderr,
        )
        if options["remove_sources"]:
            for folder in Path(django.__file__).parent.glob("contrib/*/static"):
                shutil.rmtree(folder)
