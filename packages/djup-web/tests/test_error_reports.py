"""What is sent of an error, and what is said where it cannot be."""

import tempfile
from pathlib import Path
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase
from djup_web import error_reports

DSN = {"SENTRY_DSN": "https://0123@errors.example.org/1"}


class ErrorReportsTests(SimpleTestCase):
    def test_nothing_is_imported_without_an_address(self) -> None:
        with mock.patch.dict("sys.modules", {"sentry_sdk": None}):
            error_reports.install({"SENTRY_DSN": ""}, debug=False)
            with self.assertRaisesMessage(ImproperlyConfigured, "sentry-sdk is not installed"):
                error_reports.install(DSN, debug=False)

    def test_the_release_and_the_environment(self) -> None:
        self.assertEqual(
            error_reports.release("a.example:5000/team/shop-web:3f9c"), "shop-web@3f9c"
        )
        self.assertEqual(error_reports.release(""), "")
        for environ, debug, expected in (
            ({"PRODUCTION": "1"}, False, "production"),
            ({}, True, "development"),
            ({"PRODUCTION": "1", "SENTRY_ENVIRONMENT": "staging"}, False, "staging"),
        ):
            self.assertEqual(error_reports.environment(environ, debug), expected)

    def test_secrets_of_variables_and_of_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "secret_key")
            file.write_text("of the file\n")
            given = {"SECRET_KEY_FILE": str(file), "STRIPE_TOKEN": "of a variable", "PASS": "short"}
            found = error_reports.secrets(
                {**given, "OTHER_KEY_FILE": "/nowhere", "NAME": "shown here"}
            )
        self.assertEqual(set(found), {"of the file", "of a variable"})

    def test_what_is_left_of_an_event(self) -> None:
        event = {
            "request": {"url": "http://a/", "query_string": "q=1", "cookies": {}, "data": "x"},
            "values": [{"value": "amqp://ann:pw@mail and hidden-word", "lineno": 3}],
            "message": "duplicate key\nDETAIL:  Key (email)=(ann@example.org) already exists.",
        }
        found = error_reports.cleaned(event, ["hidden-word"])
        self.assertEqual(found["request"], {"url": "http://a/"})
        self.assertEqual(
            found["values"], [{"value": "amqp://ann:********@mail and ********", "lineno": 3}]
        )
        self.assertEqual(found["message"], "duplicate key")
