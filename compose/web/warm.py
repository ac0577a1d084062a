"""Import what a start of the server imports, so that its bytecode is written into the image.

The arguments are further modules.
"""

import sys
from contextlib import suppress
from importlib import import_module

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "unused"}},
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
with suppress(ImportError):  # the driver that Django takes; a project on SQLite has none
    import_module("django.db.backends.postgresql.base")
for module in sys.argv[1:]:
    import_module(module)
