"""DATABASES["default"], from DATABASE_URL or the SQL_ variables."""

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from .env import Environ, boolean, integer, secret

POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
TLS = {"sslmode": "SQL_SSLMODE", "sslrootcert": "SQL_SSLROOTCERT"}
KEYS = (
    *("SQL_ENGINE", "SQL_DATABASE", "SQL_USER", "SQL_PASSWORD", "SQL_HOST", "SQL_PORT"),
    *TLS.values(),
)
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SCHEMES = ("postgres", "postgresql", "sqlite")
CONNECT_SECONDS = 3
REUSE_SECONDS = 600
# Of a server whose machine is gone nothing comes any more, not even the end of a connection.
# Without these (libpq's, in seconds and ms) a thread would wait for a quarter of an hour.
ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def database(environ: Environ, debug: bool, folder: Path) -> dict[str, Any]:
    """The settings of the database, or ImproperlyConfigured naming the key at fault.

    The names of files (an SQLite database, SQL_SSLROOTCERT) are taken from `folder`.
    """
    if url := environ.get("DATABASE_URL", ""):
        return from_url(environ, url, folder)
    engine = environ.get("SQL_ENGINE", "") or fallback(environ, debug)
    if engine == SQLITE:
        return sqlite(folder, environ.get("SQL_DATABASE") or "db.sqlite3")
    return server(environ, engine, folder)


def connections(environ: Environ, production: bool) -> dict[str, Any]:
    """How connections are used: the production server's threads live long, and keep theirs.

    Behind a pooler by transaction (SQL_POOLED) the next query of a cursor may reach another server.
    """
    pooled = {"DISABLE_SERVER_SIDE_CURSORS": boolean(environ, "SQL_POOLED")}
    kept = {"CONN_MAX_AGE": REUSE_SECONDS, "CONN_HEALTH_CHECKS": True} if production else {}
    return pooled | kept


def direct(settings: Mapping[str, Any], environ: Environ, folder: Path) -> dict[str, Any]:
    """What leads to the server itself, past a pooler, for a session that lasts: DATABASE_HOST,
    DATABASE_PORT and those of TLS. Empty where there is a pooler and nothing is said of the server.
    """
    given = {key: value for key, value in settings.get("OPTIONS", {}).items() if key != "pool"}
    if not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        return {"OPTIONS": given}
    if not (host := environ.get("DATABASE_HOST", "")):
        return {}
    port = str(integer(environ, "DATABASE_PORT", 5432, low=1, high=65535))
    of_server = {key: environ.get(key.replace("SQL", "DATABASE"), "") for key in TLS.values()}
    besides = {key: value for key, value in given.items() if key not in TLS}
    return {"HOST": host, "PORT": port, "OPTIONS": options(of_server, besides, folder)}


def from_url(environ: Environ, url: str, folder: Path) -> dict[str, Any]:
    """What the URL says; of the SQL_ variables those of TLS, where it says nothing of that."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:  # the rest may hold a password: it is not shown
        raise ImproperlyConfigured(
            f"DATABASE_URL must begin with one of {', '.join(f'{name}://' for name in SCHEMES)}."
        )
    try:
        found = dj_database_url.parse(url)
    except ValueError:
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: encode special characters in its parts as %XX (@ as %40)."
        ) from None  # it quotes a part of the password
    if scheme == "sqlite":
        return sqlite(folder, found["NAME"])
    given = found.get("OPTIONS", {})
    return {**found, "PORT": str(found["PORT"] or 5432), "OPTIONS": options(environ, given, folder)}


def sqlite(folder: Path, name: str) -> dict[str, Any]:
    return {"ENGINE": SQLITE, "NAME": name if name == ":memory:" else str(folder / name)}


def fallback(environ: Environ, debug: bool) -> str:
    """SQLite, where nothing at all is said about a database; a forgotten key must not lead here."""
    if found := [key for key in KEYS if environ.get(key)]:
        raise ImproperlyConfigured(
            f"SQL_ENGINE is missing, but {', '.join(found)} indicates a database server: "
            f"set it, for PostgreSQL to {POSTGRESQL}."
        )
    if debug:
        return SQLITE
    raise ImproperlyConfigured(
        "SQL_ENGINE is missing: with DEBUG off a database must be named; "
        f"SQL_ENGINE={SQLITE} uses SQLite."
    )


def server(environ: Environ, engine: str, folder: Path) -> dict[str, Any]:
    return {
        "ENGINE": importable(engine),
        "NAME": required(environ, "SQL_DATABASE"),
        "USER": required(environ, "SQL_USER"),
        "PASSWORD": required(environ, "SQL_PASSWORD"),
        "HOST": host(environ),
        "PORT": str(integer(environ, "SQL_PORT", 5432, low=1, high=65535)),
        "OPTIONS": options(environ, {}, folder) if "postg" in engine else {},
    }


def options(environ: Environ, given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """libpq's parameters besides the address; those `given` go before."""
    tls = {name: value for name, key in TLS.items() if (value := environ.get(key, ""))}
    chosen = {"connect_timeout": CONNECT_SECONDS, **ALIVE, **tls, **given}
    if (mode := chosen.get("sslmode", SSLMODES[0])) not in SSLMODES:
        raise ImproperlyConfigured(
            f"SQL_SSLMODE is {mode!r}: it must be one of {', '.join(SSLMODES)}."
        )
    if "sslrootcert" in chosen:
        chosen["sslrootcert"] = authorities(str(chosen["sslrootcert"]), folder)
    return chosen


def authorities(name: str, folder: Path) -> str:
    """A file within the folder, or libpq's word for those that the system trusts."""
    if name == "system":
        trust_system()
        return name
    if (path := folder / name).is_file():
        return str(path)
    raise ImproperlyConfigured(f"SQL_SSLROOTCERT names {name}, which is not a file in {folder}.")


def trust_system() -> None:
    """The OpenSSL of psycopg2's wheel looks where it was built: lead it to where Python's looks."""
    import ssl

    paths = ssl.get_default_verify_paths()
    os.environ.setdefault("SSL_CERT_FILE", paths.cafile or paths.openssl_cafile)
    os.environ.setdefault("SSL_CERT_DIR", paths.capath or paths.openssl_capath)


def importable(engine: str) -> str:
    # Found, not imported: it costs nothing, and a driver that is missing is another error.
    with suppress(ImportError, ValueError):
        if find_spec(engine):
            return engine
    raise ImproperlyConfigured(
        f"SQL_ENGINE is {engine!r}: it must name a Django backend, for PostgreSQL {POSTGRESQL}."
    )


def required(environ: Environ, key: str) -> str:
    if value := secret(environ, key):
        return value
    raise ImproperlyConfigured(f"{key} is missing: SQL_ENGINE names a database server, set it too.")


def host(environ: Environ) -> str:
    if value := environ.get("SQL_HOST", ""):
        return value
    raise ImproperlyConfigured(
        "SQL_HOST is empty: the database belongs to the stack, which sets SQL_HOST; "
        "on this machine run `inv manage -- COMMAND` instead."
    )
