"""/healthz: the process answers. /readyz: the database answers and is migrated.

A middleware, and the first one, so that no ALLOWED_HOSTS, redirect or session stands in the way
of a prober that knows the service by its address only.
"""

import logging
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.cache import add_never_cache_headers

from .database import reason, unapplied


class ProbesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        return answer(request, probe) if probe else self.get_response(request)


def answer(request: HttpRequest, probe: Callable[[], JsonResponse]) -> HttpResponse:
    allowed = ["GET", "HEAD"]
    response = probe() if request.method in allowed else HttpResponseNotAllowed(allowed)
    add_never_cache_headers(response)
    return response


def healthz() -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz() -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = unapplied()
    except (DatabaseError, InterfaceError) as error:
        # A connection that broke would fail the next probe too.
        connection.close()
        return not_ready(f"the database does not answer: {reason(error)}", [])
    if missing:
        return not_ready("there are migrations to apply", missing)
    return JsonResponse({"ready": True})


def not_ready(why: str, missing: list[str]) -> JsonResponse:
    return JsonResponse({"ready": False, "reason": why, "unapplied": missing}, status=503)


PROBES = {"/healthz": healthz, "/readyz": readyz}


def is_routine(record: logging.LogRecord) -> bool:
    """Whether an access-log record of the development server is a probe that went well."""
    match record.args:
        case (str(request_line), str(status), *_):
            return status.startswith("2") and not PROBES.keys().isdisjoint(request_line.split())
    return False
