"""In development, a page behind a tunnel or a forwarded port knows the address that a browser has.

X-Forwarded-Host and X-Forwarded-Proto are believed where they name a trusted origin, and nowhere
else: whoever may send them says no more than CSRF_TRUSTED_ORIGINS allows.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import is_same_domain


class ForwardedMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        scheme, host = first(request, "X-Forwarded-Proto"), first(request, "X-Forwarded-Host")
        host = host or request.headers.get("Host", "")
        if scheme and is_trusted(scheme, host):
            request.META["HTTP_HOST"] = host
            request.META["wsgi.url_scheme"] = scheme
        return self.get_response(request)


def first(request: HttpRequest, header: str) -> str:
    """What the outermost of several proxies has said."""
    return request.headers.get(header, "").partition(",")[0].strip().lower()


def is_trusted(scheme: str, host: str) -> bool:
    """Whether CSRF_TRUSTED_ORIGINS has this origin, as Django itself compares the two."""
    trusted = (urlsplit(origin) for origin in settings.CSRF_TRUSTED_ORIGINS)
    return any(
        scheme == it.scheme and is_same_domain(host, it.netloc.lstrip("*")) for it in trusted
    )
