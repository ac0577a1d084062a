"""One line in the log for each request, under any server; with DEBUG off."""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from .probes import went_well

logger = logging.getLogger(__name__)


class RequestsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if settings.DEBUG:
            raise MiddlewareNotUsed  # The development server writes its own lines.
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        if not went_well(request.path_info, response.status_code):
            tell(request, response.status_code, time.perf_counter() - started)
        return response


def tell(request: HttpRequest, status: int, seconds: float) -> None:
    """Without the query string, which may hold what is nobody's business."""
    facts = {
        "method": request.method,
        "path": request.path,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "remote": remote(request),
    }
    logger.info("%s %s %d", request.method, request.path, status, extra=facts)


def remote(request: HttpRequest) -> str:
    """The client's address: where the proxy is our own, the last of those it forwards, which it
    has seen itself; a client can write the others."""
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.SECURE_PROXY_SSL_HEADER and forwarded:
        return forwarded.rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))
