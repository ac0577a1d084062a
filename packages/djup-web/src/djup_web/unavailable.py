"""A page that says that the database is out of reach, in place of a traceback."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .database import address, reason, unreachable

logger = logging.getLogger(__name__)


class UnavailableMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not unreachable(error):
            return None
        logger.error("Cannot reach the database at %s: %s.", address(), reason(error))
        # Where and why concerns the developer, not the public.
        context = {"debug": settings.DEBUG, "address": address(), "reason": reason(error)}
        response = render(request, "503.html", context, status=503)
        response["Retry-After"] = "2"
        return response
