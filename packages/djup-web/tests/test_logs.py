"""The log with DEBUG off, as a server in a process of its own writes it."""

import json
import logging
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.test import RequestFactory, SimpleTestCase, override_settings
from djup_web import request_id
from djup_web.databases import SQLITE
from djup_web.json_lines import JsonLines
from djup_web.requests import remote

from .made_app import SETTINGS, write_app
from .test_serve import END_SECONDS, serve

PAGES = """
import logging
import time

from django.http import HttpResponse
from django.urls import path

logger = logging.getLogger("made_up")

def page(request):
    logger.info("one of %d", 2, extra={"mine": request.GET.get("n", ""), "request": request})
    time.sleep(0.05)
    logger.info("two")
    return HttpResponse("page")

def broken(request):
    password = "s3cret"
    raise ValueError("two\\nlines")

urlpatterns = [path("page/", page), path("broken/", broken)]
"""
Record = dict[str, Any]


class LogTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        write_app(folder, {})
        (folder / "made_up_settings.py").write_text(SETTINGS + "ROOT_URLCONF = 'made_up.pages'\n")
        (folder / "made_up" / "pages.py").write_text(PAGES)
        self.server = serve(
            DEBUG="0",
            SECRET_KEY="0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP",
            ALLOWED_HOSTS="127.0.0.1",
            SQL_ENGINE=SQLITE,
            SQL_DATABASE=":memory:",
            PYTHONPATH=str(folder),
            DJANGO_SETTINGS_MODULE="made_up_settings",
        )
        self.addCleanup(self.server.communicate)
        self.addCleanup(self.server.kill)
        self.url = self.address()

    def address(self) -> str:
        assert self.server.stdout
        for line in self.server.stdout:
            if "development server at " in line:
                return line.split()[-1]
        raise AssertionError("no server")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """The status and the X-Request-Id of the answer."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(f"{self.url}{path}", headers=names)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.headers["X-Request-Id"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["X-Request-Id"]

    def written(self) -> list[Record]:
        """Every line that it has written since it serves, each of which is JSON."""
        time.sleep(0.2)  # The line of a request comes after its answer.
        self.server.terminate()
        printed, _ = self.server.communicate(timeout=END_SECONDS)
        return [json.loads(line) for line in printed.splitlines()]

    def test_a_request(self) -> None:
        self.assertEqual(self.get("page/?n=7&token=s3cret", X_Request_Id="abc-1"), (200, "abc-1"))
        one, two, request = self.written()
        self.assertRegex(one.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
        wanted = {
            "level": "INFO",
            "logger": "made_up",
            "message": "one of 2",
            "request_id": "abc-1",
        }
        self.assertEqual(one, wanted | {"mine": "7"})
        self.assertEqual((two["message"], two["request_id"]), ("two", "abc-1"))
        self.assertEqual(request["message"], "GET /page/ 200")
        self.assertEqual((request["method"], request["path"]), ("GET", "/page/"))
        self.assertEqual((request["status"], request["remote"]), (200, "127.0.0.1"))
        self.assertEqual((request["request_id"], request["duration_ms"] >= 50), ("abc-1", True))
        self.assertNotIn("s3cret", f"{one}{two}{request}")

    def test_an_error_is_one_line_with_its_traceback(self) -> None:
        status, name = self.get("broken/?token=s3cret")
        error, request = self.written()
        self.assertEqual((error["level"], error["logger"]), ("ERROR", "django.request"))
        self.assertEqual(error["message"], "Internal Server Error: /broken/")
        self.assertRegex(error["traceback"], r"^Traceback(.|\n)*ValueError: two\nlines$")
        self.assertNotIn("s3cret", f"{error}{request}")
        self.assertEqual((status, request["status"]), (500, 500))
        self.assertEqual({error["request_id"], request["request_id"]}, {name})

    def test_what_django_logs_last_has_the_id_too(self) -> None:
        status, name = self.get("nothing/", X_Request_Id="not sane\t")
        self.assertRegex(name, r"^[0-9a-f-]{36}$")
        request, warning = self.written()
        self.assertEqual((status, warning["message"]), (404, "Not Found: /nothing/"))
        self.assertEqual({warning["request_id"], request["request_id"]}, {name})

    def test_probes_that_went_well_are_not_written(self) -> None:
        self.assertEqual(self.get("healthz")[0], 200)
        self.assertEqual(self.get("readyz")[0], 503)  # another connection, another :memory:
        self.assertEqual([line["path"] for line in self.written() if "path" in line], ["/readyz"])

    def test_requests_at_the_same_time_keep_apart(self) -> None:
        names = [f"id-{number}" for number in range(40)]
        with ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda n: self.get(f"page/?n={n}", X_Request_Id=n), names))
        self.assertEqual(answers, [(200, name) for name in names])
        written = self.written()
        self.assertEqual(len(written), 3 * len(names))
        for line in written:
            self.assertEqual(line.get("mine", line["request_id"]), line["request_id"])


class RemoteTests(SimpleTestCase):
    def request(self) -> HttpRequest:
        return RequestFactory().get(
            "/", REMOTE_ADDR="10.0.0.2", HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.1"
        )

    @override_settings(SECURE_PROXY_SSL_HEADER=None)
    def test_without_a_proxy_nobody_is_believed(self) -> None:
        self.assertEqual(remote(self.request()), "10.0.0.2")

    @override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
    def test_behind_ours_it_is_what_the_proxy_saw(self) -> None:
        self.assertEqual(remote(self.request()), "192.0.2.1")
        self.assertEqual(remote(RequestFactory().get("/", REMOTE_ADDR="10.0.0.2")), "10.0.0.2")


class JsonLinesTests(SimpleTestCase):
    def test_one_line_whatever_is_in_it(self) -> None:
        record = logging.makeLogRecord({"name": "x\ny", "msg": "a\n\udcff\u2028b", "level": "mine"})
        text = JsonLines().format(record)
        self.assertEqual(len(text.splitlines()), 1)
        self.assertTrue(text.isascii())
        found = json.loads(text)
        self.assertEqual((found["message"], found["level"]), ("a\n\udcff\u2028b", record.levelname))
        self.assertNotIn("request_id", found)

    def test_the_id_ends_with_the_request(self) -> None:
        self.client.get("/healthz", headers={"X-Request-Id": "abc"})
        self.assertEqual(request_id.current(), "")
