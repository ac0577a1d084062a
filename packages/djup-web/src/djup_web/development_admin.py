"""The superuser of a developer's machine, named by the variables of `createsuperuser --noinput`."""

import os

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

PASSWORD = "DJANGO_SUPERUSER_PASSWORD"


def check() -> None:
    """A CommandError where there must be no such superuser, or where it is not named."""
    if not settings.DEBUG:
        raise CommandError(
            "No superuser was created: DEBUG is off, and this one is for development."
        )
    # Without a password Django would make one who can never log in.
    if missing := [key for key in (name_variable(), PASSWORD) if not os.environ.get(key)]:
        raise CommandError(f"No superuser was created: {' and '.join(missing)} must be set.")


def make() -> str:
    """Make it, unless a user of that name is there; what was done, as a sentence."""
    users, name = get_user_model()._default_manager, os.environ[name_variable()]
    if users.filter(**{get_user_model().USERNAME_FIELD: name}).exists():
        return f"the user {name} already exists, and is not changed"
    try:
        call_command("createsuperuser", interactive=False, verbosity=0)
    except CommandError as error:
        raise CommandError(f"No superuser was created: {error}") from error
    return f"created the superuser {name}, who can log in at /admin/"


def name_variable() -> str:
    return f"DJANGO_SUPERUSER_{get_user_model().USERNAME_FIELD.upper()}"
