import platform
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from djup_web import migrations_state


def index(request: HttpRequest) -> HttpResponse:
    migrations = migrations_state.current()
    context = {
        "django_version": django.get_version(),
        "python_version": platform.python_version(),
        "database": database(),
        "migrations": migrations,
        "notes": notes(migrations.unapplied),
        "debug": settings.DEBUG,  # what there is to type is for who develops it
    }
    return render(request, "home/index.html", context)


def database() -> dict[str, Any]:
    version = ".".join(str(part) for part in connection.get_database_version())
    return {
        "product": f"{connection.display_name} {version}",
        "name": connection.settings_dict["NAME"],
    }


def notes(waiting: list[str]) -> dict[str, Any] | None:
    """The example app's rows; None once the app is removed or has no table."""
    if not apps.is_installed("notes") or any(name.startswith("notes.") for name in waiting):
        return None
    rows = apps.all_models["notes"]["note"]._default_manager.all()
    return {"count": rows.count(), "latest": rows.first()}
