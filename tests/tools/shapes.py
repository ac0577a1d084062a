"""Small Django projects in the shapes that people have, each as a repository of one commit."""

import subprocess
from pathlib import Path
from textwrap import dedent

UNTRACKED = "a file of nobody's.txt"
VISITS = {
    "visits/__init__.py": "",
    "visits/migrations/__init__.py": "",
    "visits/models.py": """
        from django.db import models

        class Visit(models.Model):
            at = models.DateTimeField(auto_now_add=True)
        """,
    "visits/migrations/0001_initial.py": """
        from django.db import migrations, models

        AUTO = dict(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

        class Migration(migrations.Migration):
            initial = True
            dependencies = []
            operations = [
                migrations.CreateModel(
                    name="Visit",
                    fields=[
                        ("id", models.BigAutoField(**AUTO)),
                        ("at", models.DateTimeField(auto_now_add=True)),
                    ],
                ),
            ]
        """,
    "visits/views.py": """
        from django.db import connection
        from django.shortcuts import render

        from visits.models import Visit

        def home(request):
            Visit.objects.create()
            context = {"count": Visit.objects.count(), "vendor": connection.vendor}
            return render(request, "visits/home.html", context)
        """,
    "visits/templates/visits/home.html": """
        {% load static %}<title>Visits</title><link rel="stylesheet" href="{% static 'site.css' %}">
        <link rel="icon" href="{% static 'missing.ico' %}"><p>{{ count }} visits, {{ vendor }}</p>
        """,
    # A picture and a map that nobody has: hashed names alone would fail on these.
    "visits/static/site.css": """
        p { background: url(missing.png) }
        /*# sourceMappingURL=site.css.map */
        """,
    "visits/tests.py": """
        from django.test import TestCase

        class HomeTests(TestCase):
            def test_it_counts(self):
                self.assertContains(self.client.get("/"), "1 visits")
        """,
}
APPS = "".join(
    f'"{name}", '
    for name in (
        *(f"django.contrib.{app}" for app in ("auth", "contenttypes", "sessions", "messages")),
        *("django.contrib.staticfiles", "visits"),
    )
)
MANAGE = """
    #!/usr/bin/env python
    import os, sys

    if __name__ == "__main__":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{module}")
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
    """
URLS = """
    from django.urls import path
    from visits.views import home

    urlpatterns = [path("", home)]
    """
TEMPLATES = '[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]'
WSGI = """
    import os
    from django.core.wsgi import get_wsgi_application

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{module}")
    application = get_wsgi_application()
    """

# As a tutorial ends: one module, tuples, SQLite, everything written out; no driver, no STATIC_ROOT.
TUTORIAL = {
    **VISITS,
    "requirements.txt": "Django==5.2.*\n",
    ".gitignore": "*.sqlite3\nwheels/\n.env*\n",
    "README.md": "# A tutorial\n",
    "manage.py": MANAGE.format(module="mysite.settings"),
    "mysite/__init__.py": "",
    "mysite/urls.py": URLS,
    "mysite/wsgi.py": WSGI.format(module="mysite.settings"),
    "mysite/settings.py": f"""
        from pathlib import Path

        BASE_DIR = Path(__file__).resolve().parent.parent
        SECRET_KEY = "django-insecure-written-out"
        DEBUG = True
        ALLOWED_HOSTS = []
        INSTALLED_APPS = ({APPS})
        MIDDLEWARE = (
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        )
        ROOT_URLCONF = "mysite.urls"
        TEMPLATES = {TEMPLATES}
        DATABASES = {{"default": {{
            "ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"
        }}}}
        STATIC_URL = "static/"
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        """,
}
# As a team has it: src/, a package of settings that fail without variables of other names, a
# second database, a user model and a logging of its own, psycopg 3, pytest, pyproject.toml.
TEAM = {
    **{f"src/{path}": text for path, text in VISITS.items() if not path.endswith("tests.py")},
    "pyproject.toml": """
        [project]
        name = "team"
        version = "1"
        requires-python = ">=3.11"
        dependencies = ["Django>=5.2,<5.3", "psycopg", "dj-database-url", "whitenoise==6.5.0"]

        [dependency-groups]
        dev = ["pytest", "pytest-django", "django-extensions"]

        [tool.pytest.ini_options]
        DJANGO_SETTINGS_MODULE = "config.settings.test"
        pythonpath = ["src"]
        """,
    ".env.example": "MAIL_KEY=\nDATABASE_URL=postgres://team:team@localhost/team\n",
    ".dockerignore": "*.md\ncompose\n",
    ".gitattributes": "* text eol=lf\n",
    ".gitignore": ".env\n*.sqlite3\n",
    "Dockerfile": "FROM python:3.13\n",
    "compose.yml": "services: {}\n",
    "src/manage.py": MANAGE.format(module="config.settings.dev"),
    "src/config/__init__.py": "",
    "src/config/urls.py": URLS,
    "src/config/wsgi.py": WSGI.format(module="config.settings.production"),
    "src/config/settings/__init__.py": "",
    "src/config/settings/base.py": f"""
        import os
        from pathlib import Path

        import dj_database_url

        BASE_DIR = Path(__file__).resolve().parents[2]
        SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
        DEBUG = os.environ.get("DJANGO_DEBUG", "True") == "True"
        DATABASES = {{
            "default": {{
                **dj_database_url.parse(os.environ["DATABASE_URL"]), "ATOMIC_REQUESTS": True
            }},
            "archive": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        }}
        INSTALLED_APPS = [{APPS}"people"]
        MIDDLEWARE = [
            "django.middleware.security.SecurityMiddleware",
            "whitenoise.middleware.WhiteNoiseMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ]
        if DEBUG:
            INSTALLED_APPS += ["django_extensions"]
        AUTH_USER_MODEL = "people.User"
        ROOT_URLCONF = "config.urls"
        WSGI_APPLICATION = "config.wsgi.application"
        TEMPLATES = {TEMPLATES}
        STATIC_URL = "/assets/"
        STATIC_ROOT = BASE_DIR / "collected"
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        LOGGING = {{"version": 1, "disable_existing_loggers": False}}
        """,
    "src/config/settings/dev.py": "from .base import *\n\nEMAIL_SUBJECT_PREFIX = '[dev] '\n",
    "src/config/settings/test.py": "from .base import *\n\nDEBUG = False\n",
    "src/config/settings/production.py": """
        from .base import *

        MAIL_KEY = os.environ["MAIL_KEY"]
        """,
    "src/people/__init__.py": "",
    "src/people/migrations/__init__.py": "",
    "src/people/models.py": """
        from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
        from django.db import models

        class User(AbstractBaseUser):
            name = models.CharField(max_length=150, unique=True)
            USERNAME_FIELD = "name"
            objects = BaseUserManager()
        """,
    "src/people/migrations/0001_initial.py": """
        from django.db import migrations, models

        AUTO = dict(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")
        LAST = dict(blank=True, null=True, verbose_name="last login")

        class Migration(migrations.Migration):
            initial = True
            dependencies = []
            operations = [
                migrations.CreateModel(
                    name="User",
                    fields=[
                        ("id", models.BigAutoField(**AUTO)),
                        ("password", models.CharField(max_length=128, verbose_name="password")),
                        ("last_login", models.DateTimeField(**LAST)),
                        ("name", models.CharField(max_length=150, unique=True)),
                    ],
                    options={"abstract": False},
                ),
            ]
        """,
    "src/visits/test_home.py": """
        import pytest
        from django.conf import settings

        @pytest.mark.django_db
        def test_it_counts(client):
            assert b"1 visits, postgresql" in client.get("/").content

        def test_the_settings_are_those_of_the_tests():
            assert settings.SETTINGS_MODULE == "config.settings.test"
        """,
}


def write(root: Path, files: dict[str, str]) -> Path:
    """A repository with these files, by their paths, in one commit."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
    (root / UNTRACKED).write_text("untracked\n")
    for words in (("init", "--quiet"), ("add", "--force", "--", *files)):
        git(root, *words)
    git(root, "commit", "--quiet", "--message", "The project")
    return root


def git(root: Path, *arguments: str) -> str:
    argv = ["git", "-C", str(root), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
