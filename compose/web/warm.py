"""Import what a start of the server imports, so that its bytecode is written into the image.

The arguments are further modules.
"""

import sys
from importlib import import_module

import django
import psycopg2  # noqa: F401
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
for module in sys.argv[1:]:
    import_module(module)
