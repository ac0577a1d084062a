"""DATABASES["default"], from the SQL_ variables."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .env import Environ, integer

BASE_DIR = Path(__file__).resolve().parent.parent
POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
KEYS = ("SQL_ENGINE", "SQL_DATABASE", "SQL_USER", "SQL_PASSWORD", "SQL_HOST", "SQL_PORT")
CONNECT_SECONDS = 3


def database(environ: Environ, debug: bool) -> dict[str, Any]:
    """The settings of the database, or ImproperlyConfigured naming the key at fault."""
    engine = environ.get("SQL_ENGINE", "") or fallback(environ, debug)
    if engine == SQLITE:
        name = environ.get("SQL_DATABASE") or "db.sqlite3"
        return {"ENGINE": engine, "NAME": name if name == ":memory:" else str(BASE_DIR / name)}
    return server(environ, engine)


def fallback(environ: Environ, debug: bool) -> str:
    """SQLite, where nothing at all is said about a database; a forgotten key must not lead here."""
    if found := [key for key in KEYS if environ.get(key)]:
        raise ImproperlyConfigured(
            f"SQL_ENGINE is missing, but {', '.join(found)} tells of a database server: "
            f"set it, for PostgreSQL to {POSTGRESQL}."
        )
    if debug:
        return SQLITE
    raise ImproperlyConfigured(
        "SQL_ENGINE is missing: with DEBUG off a database must be named; "
        f"SQL_ENGINE={SQLITE} uses SQLite."
    )


def server(environ: Environ, engine: str) -> dict[str, Any]:
    return {
        "ENGINE": importable(engine),
        "NAME": required(environ, "SQL_DATABASE"),
        "USER": required(environ, "SQL_USER"),
        "PASSWORD": required(environ, "SQL_PASSWORD"),
        "HOST": host(environ),
        "PORT": str(integer(environ, "SQL_PORT", 5432, low=1, high=65535)),
        "OPTIONS": {"connect_timeout": CONNECT_SECONDS} if "postg" in engine else {},
    }


def importable(engine: str) -> str:
    # Found, not imported: it costs nothing, and a driver that is missing is another error.
    with suppress(ImportError, ValueError):
        if find_spec(engine):
            return engine
    raise ImproperlyConfigured(
        f"SQL_ENGINE is {engine!r}: it must name a Django backend, for PostgreSQL {POSTGRESQL}."
    )


def required(environ: Environ, key: str) -> str:
    if value := environ.get(key, ""):
        return value
    raise ImproperlyConfigured(f"{key} is missing: SQL_ENGINE names a database server, set it too.")


def host(environ: Environ) -> str:
    if value := environ.get("SQL_HOST", ""):
        return value
    raise ImproperlyConfigured(
        "SQL_HOST is empty: the database belongs to the stack, which fills SQL_HOST in; "
        "on this machine type `inv manage -- COMMAND` instead."
    )
