"""Import what a start of the server imports, so that its bytecode is written into the image.

The arguments are further modules.
"""

import sys
from importlib import import_module

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

POSTGRESQL = "django.db.backends.postgresql"


def engine() -> str:
    """PostgreSQL's, if there is a driver that can be loaded: a project on SQLite has none, and of
    one that lacks a library the web itself tells."""
    try:
        import_module(f"{POSTGRESQL}.base")
    except (ImportError, ImproperlyConfigured):
        return "django.db.backends.sqlite3"
    return POSTGRESQL


settings.configure(
    DATABASES={"default": {"ENGINE": engine(), "NAME": "unused"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
)
django.setup()

from django.contrib import admin  # noqa: E402, F401
from django.contrib.staticfiles.management.commands import runserver  # noqa: E402, F401
from django.core.management.commands import makemigrations, migrate, shell  # noqa: E402, F401
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.test import Client  # noqa: E402, F401

get_wsgi_application()
for module in sys.argv[1:]:
    import_module(module)
