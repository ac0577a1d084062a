"""Print where rows name uploads: the columns of every FileField whose files are in MEDIA_ROOT."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.core.management import BaseCommand
from django.db.models import FileField


class Command(BaseCommand):
    help = (
        'Prints a list of objects in JSON: "table", "column", and "prefix", which leads from '
        "MEDIA_ROOT to the folder of the files."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(list(file_fields())))


def file_fields() -> Iterator[dict[str, str]]:
    """The columns of this project that name files in MEDIA_ROOT."""
    models = [one for one in apps.get_models(include_auto_created=True) if not one._meta.proxy]
    for model in models:
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField) and (prefix := _prefix(field.storage)) is not None:
                yield {"table": model._meta.db_table, "column": str(field.column), "prefix": prefix}


def _prefix(storage: Any) -> str | None:
    """What leads from MEDIA_ROOT to a storage's folder; None where that is not within it."""
    if not isinstance(storage, FileSystemStorage):  # a lazy one says what it stands for
        return None
    path = os.path.relpath(storage.location, Path(settings.MEDIA_ROOT).absolute())
    if path == ".":
        return ""
    return None if path.startswith("..") else f"{path}/"
