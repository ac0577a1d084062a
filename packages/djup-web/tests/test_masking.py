"""No password within a URL is on the debug page, or in a log; what is around it stays."""

import io
import logging
import subprocess
import sys
from unittest import mock

from django.conf import settings
from django.test import RequestFactory, SimpleTestCase, override_settings
from django.views.debug import technical_500_response
from djup_web.masking import masked

SECRET = "s3cr3t"
HIDDEN = (
    "postgres://ann:s3cr3t@db.example:5432/shop",
    "redis://:s3cr3t@cache:6379/0,redis://:s3cr3t@other:6379/0",
    "amqp+ssl://ann:it%27s3cr3t@[::1]:5671//",
    "postgres://ann:a@s3cr3t@db/shop",
    "postgres://ann:a/s3cr3t#?@db/shop",
    "postgresql://db/shop?user=ann&password=s3cr3t&sslmode=require",
    "postgresql://db/shop?sslmode=require&amp;password=s3cr3t",
    "smtp://ann:12s3cr3t@mail:25 and https://ann:s3cr3t@example.org/a",
)
SHOWN = (
    "http://127.0.0.1:8000/a@b",
    "https://example.org/?q=ann:b@c",
    "https://ann@example.org/",
    "connection to server at db.example port 5432 failed: password authentication failed",
    "see https://docs.example:443/x and write to ann@example.org",
    "['http://localhost:3000', 'ann@example.org']",
)


def raise_with(url: str) -> None:
    raise ValueError(f"cannot reach {url}")


class MaskingTests(SimpleTestCase):
    def test_passwords_are_masked_and_nothing_else(self) -> None:
        for text in HIDDEN:
            with self.subTest(text):
                self.assertNotIn(SECRET, masked(text))
                self.assertIn("********", masked(text))
        for text in SHOWN:
            self.assertEqual(masked(text), text)

    def test_what_is_around_it_stays(self) -> None:
        text = "postgres://ann:s3cr3t@db.example:5432/shop?sslmode=require"
        expected = "postgres://ann:********@db.example:5432/shop?sslmode=require"
        self.assertEqual(masked(text), expected)

    @override_settings(DEBUG=True, CACHE_URL="redis://:s3cr3t@cache/0")
    def test_the_debug_page(self) -> None:
        """Variables of the environment and of frames, settings, and the error's own words."""
        url = "postgres://ann:s3cr3t@db.example/shop"
        request = RequestFactory().get("/", DATABASE_URL=url)
        databases = {"default": {**settings.DATABASES["default"], "PASSWORD": "of the database"}}
        for accept in ("text/html", "text/plain"):
            try:
                password = databases["default"]["PASSWORD"]
                raise_with(url)
            except ValueError:
                request.META["HTTP_ACCEPT"] = accept
                with mock.patch.object(settings, "DATABASES", databases):
                    response = technical_500_response(request, *sys.exc_info())
            page = response.content.decode()
            self.assertNotIn(SECRET, page)
            self.assertNotIn(password, page)
            for shown in ("postgres://ann:********@db.example/shop", "cannot reach", "raise_with"):
                self.assertIn(shown, page)
        self.assertEqual(response.status_code, 500)

    def test_logs(self) -> None:
        """Messages, their arguments, and tracebacks, by a formatter of whoever."""
        stream = io.StringIO()
        logger = logging.Logger("shop")
        logger.addHandler(handler := logging.StreamHandler(stream))
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        url = "postgres://ann:s3cr3t@db/shop"
        logger.info("connecting to %s", url)
        try:
            raise_with(url)
        except ValueError:
            logger.exception("failed")
        self.assertNotIn(SECRET, stream.getvalue())
        self.assertEqual(stream.getvalue().count("ann:********@db/shop"), 2)

    def test_an_exception_that_ends_a_process_or_a_thread(self) -> None:
        program = (
            "import threading; from djup_web import masking; masking.install()\n"
            "def fail(): raise ValueError('postgres://ann:s3cr3t@db/shop')\n"
            "t = threading.Thread(target=fail); t.start(); t.join(); fail()"
        )
        argv = [sys.executable, "-c", program]
        done = subprocess.run(argv, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(SECRET, done.stderr)
        self.assertEqual(done.stderr.count("ValueError: postgres://ann:********@db/shop"), 2)
