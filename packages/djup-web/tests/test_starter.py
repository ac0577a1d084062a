"""The starter's two apps, where a new project's own tests need not look."""

import io
from unittest import skipUnless
from unittest.mock import patch

from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, TestCase, override_settings

MANIFEST = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
}


def notes() -> "models.Manager[models.Model]":
    return apps.all_models["notes"]["note"]._default_manager


@skipUnless(apps.is_installed("home"), "the starter's own pages")
class HomeTests(TestCase):
    def test_counts_the_migrations(self) -> None:
        applied = len(MigrationRecorder(connection).applied_migrations())
        page = self.client.get("/")
        self.assertContains(page, f"{applied} applied")
        self.assertNotContains(page, "inv migrate")

    # As in production, where a file that the manifest lacks is an error.
    @override_settings(STORAGES=MANIFEST)
    def test_the_page_of_an_error_needs_nothing(self) -> None:
        self.client.raise_request_exception = False
        with patch("home.views.render", side_effect=ValueError), self.assertLogs("django.request"):
            page = self.client.get("/")
        self.assertContains(page, "Something went wrong", status_code=500)
        self.assertNotContains(page, "url(", status_code=500)
        self.assertNotContains(page, ".css", status_code=500)

    def test_names_what_is_not_migrated(self) -> None:
        MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
        page = self.client.get("/")
        self.assertContains(page, "1 migration not applied (sessions.0001_initial)")
        self.assertContains(page, "inv migrate")

    def test_shows_the_latest_note(self) -> None:
        notes().create(text="<first>")
        self.assertContains(self.client.get("/"), "1, the latest “&lt;first&gt;”")

    def test_works_once_the_table_of_the_example_is_dropped(self) -> None:
        for name in ("0002_note_attachment", "0001_initial"):
            MigrationRecorder(connection).record_unapplied("notes", name)
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE notes_note")
        page = self.client.get("/")
        self.assertContains(page, "2 migrations not applied (notes.0001_initial, ")


@skipUnless(apps.is_installed("notes"), "the starter's own pages")
class NotesTests(TestCase):
    def test_newest_first(self) -> None:
        made = [notes().create(text=text) for text in ("one", "two")]
        self.assertEqual(list(notes().all()), made[::-1])

    def test_whatever_is_wrong_with_a_note_is_explained(self) -> None:
        for text, message in (
            ("  ", "This field is required."),
            ("x" * 201, "at most 200 characters"),
            ("a\x00b", "Null characters are not allowed."),
        ):
            self.assertContains(self.client.post("/notes/", {"text": text}), message)
        self.assertEqual(notes().count(), 0)

    def test_what_takes_a_post_takes_it_once_and_with_the_token(self) -> None:
        note = notes().create(text="drop")
        address = f"/notes/{note.pk}/delete/"
        self.assertEqual(self.client.get(address).status_code, 405)
        strict = Client(enforce_csrf_checks=True)
        self.assertEqual(strict.post("/notes/", {"text": "x"}).status_code, 403)
        self.assertRedirects(self.client.post(address), "/notes/")
        self.assertEqual(self.client.post(address).status_code, 404)

    def test_the_example_data_are_notes_of_different_moments(self) -> None:
        mine = notes().create(text="mine")
        for _ in range(2):
            call_command("load_seed", verbosity=0, stdout=io.StringIO())
        [first, *examples] = notes().all()
        self.assertEqual(first, mine)
        self.assertEqual(len({getattr(note, "created_at") for note in examples}), 5)  # noqa: B009
        self.assertEqual(notes().create(text="next"), notes().all()[0])
