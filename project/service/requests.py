"""Each request has an id: its answer carries it, and every line that is logged meanwhile."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

HEADER = "X-Request-Id"
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NONE = "-"

current: ContextVar[str] = ContextVar("request_id", default=NONE)
logger = logging.getLogger(__name__)


class RequestIdMiddleware:
    """Takes the proxy's id, and makes one where there is none or none that is fit for a log."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = current.set(request_id(request))
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response[HEADER] = current.get()
            log(request, response, time.perf_counter() - started)
            return response
        finally:
            current.reset(token)


class RequestIdFilter(logging.Filter):
    """Gives each record its request's id, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True


def request_id(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "")
    return given if ID.fullmatch(given) else uuid.uuid4().hex


def log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    # Escaped, or a path could forge lines; what follows the path may be a token or a password.
    what = (request.method, escape_uri_path(request.path), response.status_code, seconds * 1000)
    logger.info("%s %s %d in %.0f ms", *what)
