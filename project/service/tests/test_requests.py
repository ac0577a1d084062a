import logging

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, SimpleTestCase

from service.requests import HEADER, NONE, RequestIdFilter, RequestIdMiddleware


class RequestIdTests(SimpleTestCase):
    def answer(self, path: str = "/", **headers: str) -> tuple[HttpResponse, str]:
        """The answer, and the line that was logged."""
        request = RequestFactory().get(path, headers=headers)
        with self.assertLogs("service.requests", "INFO") as logged:
            response = RequestIdMiddleware(self.view)(request)
        return response, logged.records[0].getMessage()

    def view(self, request: HttpRequest) -> HttpResponse:
        record = logging.makeLogRecord({})
        RequestIdFilter().filter(record)
        return HttpResponse(record.__dict__["request_id"])

    def test_the_proxys_id_is_answered_and_logged(self) -> None:
        response, _ = self.answer(**{HEADER: "4f1c-A.b_9"})
        self.assertEqual((response[HEADER], response.content), ("4f1c-A.b_9", b"4f1c-A.b_9"))

    def test_where_there_is_none_one_is_made(self) -> None:
        for headers in ({}, {HEADER: ""}, {HEADER: "a\nforged line"}, {HEADER: "x" * 65}):
            response, _ = self.answer(**headers)
            self.assertRegex(response[HEADER], r"^[0-9a-f]{32}$")
            self.assertEqual(response.content.decode(), response[HEADER])

    def test_no_id_outside_of_requests(self) -> None:
        self.answer()
        self.assertEqual(self.view(HttpRequest()).content.decode(), NONE)

    def test_the_line_has_no_query_and_cannot_be_forged(self) -> None:
        _, line = self.answer("/a%0Ab/?token=s3cr3t")
        self.assertRegex(line, r"^GET /a%0Ab/ 200 in \d+ ms$")
