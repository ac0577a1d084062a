"""Connections that fail for real, whichever database the tests run on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

UNREACHABLE = {
    "postgresql": {"HOST": "127.0.0.1", "PORT": "1"},
    "sqlite": {"NAME": "/nonexistent/db.sqlite3"},
}


def changed(**settings: Any) -> BaseDatabaseWrapper:
    """A new connection like the default one, but for some settings."""
    db: BaseDatabaseWrapper = connections["default"].copy()
    db.settings_dict.update(settings)
    return db


def unreachable_database() -> BaseDatabaseWrapper:
    return changed(**UNREACHABLE[connections["default"].vendor])


@contextmanager
def default_connection(db: BaseDatabaseWrapper) -> Iterator[None]:
    """Let everything that asks for the default connection get this one."""
    real = connections["default"]
    connections["default"] = db
    try:
        yield
    finally:
        connections["default"] = real
        db.close()


def database_down() -> AbstractContextManager[None]:
    return default_connection(unreachable_database())
