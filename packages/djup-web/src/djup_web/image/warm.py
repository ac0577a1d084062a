"""Import what a start of the server imports, so that its bytecode is written into the image.

That is of the standard library, too: the base image ships none of its bytecode.
"""

from importlib import import_module

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

POSTGRESQL = "django.db.backends.postgresql"
APPS = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
MODULES = (
    "django.contrib.admin",
    "django.contrib.staticfiles.management.commands.runserver",
    *(f"django.core.management.commands.{name}" for name in ("makemigrations", "migrate", "shell")),
    "django.core.wsgi",
    "django.test",
)


def engine() -> str:
    """PostgreSQL's, if there is a driver that can be loaded: a project on SQLite has none, and of
    one that lacks a library the web itself tells."""
    try:
        import_module(f"{POSTGRESQL}.base")
    except (ImportError, ImproperlyConfigured):
        return "django.db.backends.sqlite3"
    return POSTGRESQL


def run(*further: str) -> None:
    """Import Django with settings of its own, and further modules."""
    settings.configure(
        DATABASES={"default": {"ENGINE": engine(), "NAME": "unused"}},
        INSTALLED_APPS=[f"django.contrib.{name}" for name in APPS],
    )
    django.setup()
    for module in (*MODULES, *further):
        import_module(module)
    import_module("django.core.wsgi").get_wsgi_application()
