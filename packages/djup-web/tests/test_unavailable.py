from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory, TestCase, override_settings
from djup_web.testing import database_down, unreachable_database
from djup_web.unavailable import UnavailableMiddleware


class UnavailableTests(TestCase):
    def page(self) -> HttpResponse:
        try:
            unreachable_database().ensure_connection()
        except OperationalError as error:
            middleware = UnavailableMiddleware(lambda request: HttpResponse())
            found = middleware.process_exception(RequestFactory().get("/"), error)
        assert found is not None
        return found

    @override_settings(DEBUG=True)
    def test_says_what_to_type(self) -> None:
        with database_down(), self.assertLogs("djup_web.unavailable", "ERROR"):
            page = self.page()
        for command in ("inv doctor", "inv status", "inv up"):
            self.assertContains(page, command, status_code=503)
        self.assertEqual(page["Retry-After"], "2")

    def test_tells_the_public_nothing_of_the_inside(self) -> None:
        with database_down(), self.assertLogs("djup_web.unavailable", "ERROR"):
            page = self.page()
        self.assertContains(page, "This is temporary", status_code=503)
        for inside in ("inv ", "127.0.0.1", "/nonexistent"):
            self.assertNotContains(page, inside, status_code=503)

    def test_leaves_other_errors_alone(self) -> None:
        middleware = UnavailableMiddleware(lambda request: HttpResponse())
        for error in (ValueError("x"), OperationalError("no such table")):
            self.assertIsNone(middleware.process_exception(RequestFactory().get("/"), error))
