"""Copy uploads: `manage.py media_copy --to s3://BUCKET`, `--from s3://BUCKET --to FOLDER`."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError, CommandParser
from djup_web import media

LACKING = "The package django-storages[s3] is not installed: add it to the requirements."


class Command(BaseCommand):
    help = (
        "Copies the uploads from a folder (default: MEDIA_ROOT) into a bucket, or back. Files that "
        "are there are not sent again. MEDIA_ENDPOINT, MEDIA_REGION, MEDIA_ACCESS_KEY and "
        "MEDIA_SECRET_KEY of the environment are those of the bucket."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="source", default="", help="s3://BUCKET or a folder")
        parser.add_argument("--to", dest="target", default="", help="s3://BUCKET or a folder")

    def handle(self, *args: Any, **options: Any) -> None:
        source, target = options["source"], options["target"]
        if is_bucket(source) == is_bucket(target):
            raise CommandError(
                "One of --from and --to must be s3://BUCKET, and the other a folder."
            )
        try:
            self.copy(source, target)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        except ImportError as error:
            raise CommandError(f"{LACKING} ({error})") from None

    def copy(self, source: str, target: str) -> None:
        from botocore.exceptions import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            BotoCoreError,
            ClientError,
        )
        from djup_web import bucket, media_copy

        address, folder = (target, source) if is_bucket(target) else (source, target)
        place = Path(folder or settings.MEDIA_ROOT)
        keep = bucket.BucketStorage(**media.bucket(os.environ, address))
        try:
            there = media_copy.Bucket(keep)
            if is_bucket(target):
                counts, lacking = media_copy.up(place, there, self.stdout.write)
            else:
                counts, lacking = media_copy.down(there, place, self.stdout.write)
        except (BotoCoreError, ClientError, OSError, *bucket.FAILED) as error:
            raise CommandError(f"{address}: {error}. Run it again: it goes on from here.") from None
        self.report(counts, lacking, target or str(place))

    def report(self, counts: Any, lacking: list[str], target: str) -> None:
        total = counts.copied + counts.present
        self.stdout.write(
            f"copied {counts.copied:,} files ({counts.bytes:,} bytes); {counts.present:,} were "
            f"there; {total - len(lacking):,} of {total:,} are in {target}"
        )
        if lacking:
            raise CommandError(f"Not there: {', '.join(lacking[:5])}. Run it again.")


def is_bucket(place: str) -> bool:
    return place.startswith("s3:")
