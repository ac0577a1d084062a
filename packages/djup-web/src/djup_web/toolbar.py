"""django-debug-toolbar, where DEBUG_TOOLBAR is on: added to the settings and to the URLs.

A settings module calls `toolbar.add(globals(), environ)` at its end. The package comes from the
folder that DEBUG_PACKAGES names, unless the project has one of its own; no image has that folder.
"""

import struct
import sys
from collections.abc import MutableMapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from socket import inet_ntoa
from typing import Any

import django
from django.conf import settings as configured
from django.core.exceptions import ImproperlyConfigured
from djup_web import env

APP = "debug_toolbar"
MIDDLEWARE = "djup_web.toolbar.middleware"
OLDEST = (5, 2)  # the first Django that the fetched toolbar works with
SERVERS = ("serve", "runserver")
ROUTES = Path("/proc/net/route")


def add(settings: MutableMapping[str, Any], environ: env.Environ) -> None:
    """Add the toolbar to the names of a settings module, if DEBUG and DEBUG_TOOLBAR are on."""
    wanted = settings["DEBUG"] and env.boolean(environ, "DEBUG_TOOLBAR")
    if not wanted or APP in settings["INSTALLED_APPS"] or _is_test() or not _is_there(environ):
        return
    settings["INSTALLED_APPS"] = [*settings["INSTALLED_APPS"], APP]
    settings["MIDDLEWARE"] = _with_toolbar(settings["MIDDLEWARE"])
    theirs = settings.get("INTERNAL_IPS", ())
    settings["INTERNAL_IPS"] = list(dict.fromkeys([*theirs, *addresses(environ)]))
    found = {"IS_RUNNING_TESTS": False}  # it would guess by variables, which a web may inherit
    settings["DEBUG_TOOLBAR_CONFIG"] = {**found, **settings.get("DEBUG_TOOLBAR_CONFIG", {})}
    silenced = settings.get("SILENCED_SYSTEM_CHECKS", ())  # the middleware is there, by our name
    settings["SILENCED_SYSTEM_CHECKS"] = [*silenced, "debug_toolbar.W001"]


def add_packages(environ: env.Environ) -> None:
    """Put the folder of the packages at the end of the path: a project's own go before."""
    folder = environ.get("DEBUG_PACKAGES")
    if folder and folder not in sys.path:
        sys.path.append(folder)


def _is_test() -> bool:
    """Whether tests run, which the toolbar refuses to be in."""
    return "test" in sys.argv[1:2] or "pytest" in sys.modules


def _is_there(environ: env.Environ) -> bool:
    """Whether the package is; a server without it ends, other commands do without."""
    add_packages(environ)
    if found := find_spec(APP):
        return django.VERSION >= OLDEST or not _is_fetched(found.origin, environ)
    if sys.argv[1:2] and sys.argv[1] in SERVERS:
        raise ImproperlyConfigured(
            "DEBUG_TOOLBAR is on, and django-debug-toolbar is not here: inv up fetches it."
        )
    return False


def _is_fetched(file: str | None, environ: env.Environ) -> bool:
    """Whether a module is in the folder of the packages: an older Django needs an older toolbar."""
    return str(file).startswith(environ.get("DEBUG_PACKAGES") or "//")


def _with_toolbar(theirs: Any) -> list[str]:
    """The middlewares with the toolbar's after those of djup, which begin the list."""
    found = list(theirs)
    place = next((n for n, name in enumerate(found) if not name.startswith("djup_web.")), 0)
    return [*found[:place], MIDDLEWARE, *found[place:]]


def addresses(environ: env.Environ) -> list[str]:
    """Where requests of this machine come from: in a container, from its network's gateway."""
    gateways = _gateways() if environ.get("DEBUG_BY_GATEWAY") else []
    return ["127.0.0.1", "::1", *gateways]


def _gateways() -> list[str]:
    """The gateways of the default routes, as Linux lists them: an address in hexadecimal."""
    lines = ROUTES.read_text().splitlines()[1:] if ROUTES.exists() else []
    routes = (line.split() for line in lines)
    return [inet_ntoa(struct.pack("=I", int(one[2], 16))) for one in routes if one[1] == "0" * 8]


def middleware(get_response: Any) -> Any:
    """The toolbar's own middleware, once its pages have URLs."""
    patterns = import_module(configured.ROOT_URLCONF).urlpatterns
    if isinstance(patterns, list) and not any(_is_ours(one) for one in patterns):
        patterns[:0] = import_module("debug_toolbar.toolbar").debug_toolbar_urls()
        import_module("django.urls").clear_url_caches()
    return import_module("debug_toolbar.middleware").DebugToolbarMiddleware(get_response)


def _is_ours(pattern: Any) -> bool:
    return getattr(pattern, "app_name", None) == "djdt"
