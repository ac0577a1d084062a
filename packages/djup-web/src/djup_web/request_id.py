"""X-Request-Id: what all lines of the log that one request caused have in common."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"
SANE = re.compile(r"[A-Za-z0-9-]{1,64}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The id of the request that this thread answers; empty outside of any."""
    return _current.get()


def begin() -> None:
    """Give what this thread does an id of its own: outside of a request, such as a run at night."""
    _current.set(str(uuid.uuid4()))


@contextmanager
def of(value: str) -> Iterator[None]:
    """Take this id meanwhile: of the request that has asked for what is done now."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)


def forget(**_: Any) -> None:
    """At the signal request_finished: Django itself still logs after the last middleware."""
    _current.set("")


class RequestIdMiddleware:
    """Takes the proxy's id, or makes one, and answers with it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        # What a client may write into a log has its bounds, where no proxy has set it.
        _current.set(given if SANE.fullmatch(given) else str(uuid.uuid4()))
        response = self.get_response(request)
        response[HEADER] = current()
        return response
