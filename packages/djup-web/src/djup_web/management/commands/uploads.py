"""Print the fields whose files are stored in MEDIA_ROOT, as JSON: asked of an image by a deploy."""

import json
from typing import Any

from django.apps import apps
from django.core.management import BaseCommand
from django.db.models import FileField
from djup_web.media import MediaStorage


class Command(BaseCommand):
    help = "Prints the fields whose files are stored in the folder MEDIA_ROOT, as a JSON list."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(sorted(fields())))


def fields() -> list[str]:
    """The names of these fields, such as notes.Note.file."""
    return [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField) and isinstance(field.storage, MediaStorage)
    ]
