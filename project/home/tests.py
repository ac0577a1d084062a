from unittest.mock import patch

from django.db import connection
from django.test import TestCase, override_settings
from djup_web.testing import database_down


class HomeTests(TestCase):
    @override_settings(DEBUG=True)
    def test_shows_what_was_read_from_the_database(self) -> None:
        page = self.client.get("/")
        version = ".".join(map(str, connection.get_database_version()))
        self.assertContains(page, f"{connection.display_name} {version}")
        self.assertContains(page, "inv manage -- createsuperuser")

    def test_tells_the_public_nothing_of_how_it_is_developed(self) -> None:
        self.assertNotContains(self.client.get("/"), "inv ")

    def test_a_page_that_is_not_there_leads_on(self) -> None:
        self.assertContains(self.client.get("/nowhere"), 'href="/"', status_code=404)

    def test_an_error_has_a_page(self) -> None:
        self.client.raise_request_exception = False
        with patch("home.views.render", side_effect=ValueError), self.assertLogs("django.request"):
            page = self.client.get("/")
        self.assertContains(page, "Something went wrong", status_code=500)

    def test_is_a_503_without_the_database(self) -> None:
        with database_down(), self.assertLogs("djup_web.unavailable", "ERROR"):
            page = self.client.get("/")
        self.assertContains(page, "The database cannot be reached", status_code=503)
