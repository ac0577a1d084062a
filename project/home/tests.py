from unittest import skipUnless
from unittest.mock import patch

from django.apps import apps
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import TestCase, override_settings
from djup_web.testing import database_down

MANIFEST = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
}


class HomeTests(TestCase):
    @override_settings(DEBUG=True)
    def test_shows_what_was_read_from_the_database(self) -> None:
        page = self.client.get("/")
        version = ".".join(map(str, connection.get_database_version()))
        applied = len(MigrationRecorder(connection).applied_migrations())
        self.assertContains(page, f"{connection.display_name} {version}")
        self.assertContains(page, f"{applied} applied")
        self.assertContains(page, "inv manage -- createsuperuser")
        self.assertNotContains(page, "inv migrate")

    def test_tells_the_public_nothing_of_how_it_is_developed(self) -> None:
        self.assertNotContains(self.client.get("/"), "inv ")

    def test_a_page_that_is_not_there_leads_on(self) -> None:
        page = self.client.get("/nowhere")
        self.assertContains(page, 'href="/"', status_code=404)

    # As in production, where a file that the manifest lacks is an error.
    @override_settings(STORAGES=MANIFEST)
    def test_an_error_has_a_page_that_needs_nothing(self) -> None:
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

    def test_is_a_503_without_the_database(self) -> None:
        with database_down(), self.assertLogs("djup_web.unavailable", "ERROR"):
            page = self.client.get("/")
        self.assertContains(page, "The database cannot be reached", status_code=503)


@skipUnless(apps.is_installed("notes"), "the example app is removed")
class ExampleAppTests(TestCase):
    def test_shows_the_latest_note(self) -> None:
        apps.all_models["notes"]["note"]._default_manager.create(text="<first>")
        self.assertContains(self.client.get("/"), "1, the latest “&lt;first&gt;”")

    def test_works_once_its_table_is_dropped(self) -> None:
        MigrationRecorder(connection).record_unapplied("notes", "0001_initial")
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE notes_note")
        page = self.client.get("/")
        self.assertContains(page, "1 migration not applied (notes.0001_initial)")
