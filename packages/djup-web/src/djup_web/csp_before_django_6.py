"""django-csp's middleware, which sends what `SECURE_CSP` says, as Django 6 does by itself."""

from typing import Any

from csp.constants import NONCE
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

SENTINEL = "<CSP_NONCE_SENTINEL>"  # the value of Django 6's CSP.NONCE


class Middleware(CSPMiddleware):
    """Sends the policies of `SECURE_CSP` and `SECURE_CSP_REPORT_ONLY`."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Give what the view has chosen by a decorator of django-csp, else the settings' policy."""
        parts = super().get_policy_parts(request, response, report_only)
        if parts.config is None:
            parts.config = chosen("SECURE_CSP_REPORT_ONLY" if report_only else "SECURE_CSP")
        return parts


def chosen(name: str) -> dict[str, Any] | None:
    """The policy of a setting as django-csp has it; None if there is none."""
    found = getattr(settings, name, None) or {}
    return {key: _sources(value) for key, value in found.items()} or None


def _sources(value: Any) -> Any:
    """The sources of a directive, with django-csp's own mark for a nonce."""
    if not isinstance(value, (list, tuple, set)):
        return value
    return [NONCE if source == SENTINEL else source for source in value]
