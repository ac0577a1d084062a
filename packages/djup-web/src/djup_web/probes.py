"""/healthz: the process answers. /readyz: the database answers and is migrated.

A middleware, and the first one, so that no ALLOWED_HOSTS, redirect or session stands in the way
of a prober that knows the service by its address only.
"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.cache import add_never_cache_headers

from .database import reason
from .migrations_state import MigrationsState, read_migrations

logger = logging.getLogger(__name__)

Probe = Callable[[HttpRequest], JsonResponse]


class ProbesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path_info)
        return answer(request, probe) if probe else self.get_response(request)


def answer(request: HttpRequest, probe: Probe) -> HttpResponse:
    allowed = ["GET", "HEAD"]
    response = probe(request) if request.method in allowed else HttpResponseNotAllowed(allowed)
    add_never_cache_headers(response)
    return response


def healthz(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        state = read_migrations()
    except (DatabaseError, InterfaceError) as error:
        # A connection that broke would fail the next probe too.
        connection.close()
        why = f"the database does not answer: {reason(error)}"
        return readiness(request, MigrationsState(), why)
    return readiness(request, state, state.obstacle)


def readiness(request: HttpRequest, state: MigrationsState, why_not: str) -> JsonResponse:
    facts = {
        "unknown": state.unknown,
        "unmade": state.unmade,
        "conflicts": state.conflicts,
        "host_allowed": host_allowed(request),
    }
    if not why_not:
        return JsonResponse({"ready": True, **facts})
    if not settings.DEBUG:  # where nobody looks at the answer, but at the log
        logger.warning("Not ready: %s", why_not)
    answer: dict[str, object] = {"ready": False, "reason": why_not, **facts}
    answer["unapplied"] = state.unapplied
    if state.broken:
        answer["status"] = state.status
    return JsonResponse(answer, status=503)


def host_allowed(request: HttpRequest) -> bool:
    """Whether a page would be served under the name that this request was sent to."""
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


PROBES: dict[str, Probe] = {"/healthz": healthz, "/readyz": readyz}


def went_well(path: str, status: int) -> bool:
    """Whether the request was a probe, and its answer the good one."""
    return path in PROBES and 200 <= status < 300


def is_routine(record: logging.LogRecord) -> bool:
    """Whether an access-log record of the development server is a probe that went well."""
    match record.args:
        case (str(request_line), str(status), *_):
            return status.startswith("2") and not PROBES.keys().isdisjoint(request_line.split())
    return False
