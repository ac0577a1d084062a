"""A database that was migrated with Django's user model, before the project had one of its own."""

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from djup_web import users

FIRST = ("auth", "0001_initial")
TABLE = "auth_user"


def can_be_kept() -> bool:
    """Whether AUTH_USER_MODEL=auth.User in the environment would fit what the database has."""
    is_read_here = settings.AUTH_USER_MODEL == users.chosen != users.OLD
    is_applied = FIRST in MigrationRecorder(connection).applied_migrations()
    return is_read_here and is_applied and TABLE in connection.introspection.table_names()


def sentence(applied: str) -> str:
    """What there is to say of such a database, without a full stop; `applied` is the proof."""
    return (
        f"the database has the tables of {users.OLD} ({applied} is applied), and "
        f"{users.KEY} is {settings.AUTH_USER_MODEL}"
    )
