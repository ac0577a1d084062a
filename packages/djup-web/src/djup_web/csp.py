"""The content security policy that the starter's pages and the admin keep.

`SECURE_CSP` has the form of Django 6, whose own middleware sends it there; until then the package
django-csp does. A project whose settings do not name the middleware has no policy.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

MIDDLEWARE = "djup_web.csp.middleware"
OF_DJANGO = "django.middleware.csp.ContentSecurityPolicyMiddleware"
OF_PACKAGE = "djup_web.csp_before_django_6.Middleware"
SELF, NONE = "'self'", "'none'"
STYLE = re.compile(r"<style>(.*?)</style>", re.S)

Policy = dict[str, list[str]]


def policy(*pages: Path) -> Policy:
    """Scripts, styles and requests of this site alone; to widen it, add to the lists.

    `pages` are files whose own `<style>` may count, such as the page of an error, which has to do
    without any other file.
    """
    return {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF, *(source for page in pages for source in _styles(page))],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }


def _styles(page: Path) -> list[str]:
    """What names the styles that stand in a file: their hashes; none of a file that is gone."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    hashes = (sha256(style.encode()).digest() for style in STYLE.findall(text))
    return [f"'sha256-{b64encode(one).decode()}'" for one in hashes]


def middleware(get_response: Any) -> Any:
    """Django's own middleware, or in older versions that of django-csp, which reads the same."""
    try:
        made = import_string(OF_DJANGO if django.VERSION >= (6, 0) else OF_PACKAGE)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"MIDDLEWARE has {MIDDLEWARE}, which needs the package django-csp before Django 6: "
            "add it to base.in, then run: inv lock"
        ) from error
    return made(get_response)
