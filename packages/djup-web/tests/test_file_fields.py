"""Where rows name uploads, as `inv db.backup --verify` asks."""

import json
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.db.models import FileField
from django.test import SimpleTestCase, override_settings
from djup_web.management.commands.file_fields import _prefix


class FileFieldsTests(SimpleTestCase):
    def test_it_prints_json(self) -> None:
        out = StringIO()
        call_command("file_fields", stdout=out)
        for field in json.loads(out.getvalue()):
            self.assertEqual(set(field), {"table", "column", "prefix"})

    def test_the_default_storage_is_media_root_itself(self) -> None:
        self.assertEqual(_prefix(FileField().storage), "")

    def test_a_folder_within_and_one_without(self) -> None:
        with TemporaryDirectory() as folder, override_settings(MEDIA_ROOT=folder):
            self.assertEqual(_prefix(FileSystemStorage(Path(folder) / "private")), "private/")
            self.assertIsNone(_prefix(FileSystemStorage("/elsewhere")))

    def test_another_kind_of_storage(self) -> None:
        self.assertIsNone(_prefix(object()))
