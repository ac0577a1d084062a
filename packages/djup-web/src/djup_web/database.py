"""What is known about connections to the database: why one failed, and how many there may be."""

import re
import sqlite3

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

# SQLSTATE of a connection that is lost: class 08, and a server that is shut down, has crashed
# or is starting (https://www.postgresql.org/docs/current/errcodes-appendix.html).
LOST = re.compile(r"08|57P0[123]")

# Where libpq (https://www.postgresql.org/docs/current/libpq-connect.html) could not connect there
# is no SQLSTATE, only text. These are the server's answers that no waiting changes.
HOPELESS = re.compile(
    r"FATAL:\s+("
    r"\w+ authentication failed"
    r"|role \".*\" (does not exist|is not permitted to log in)"
    r"|database \".*\" (does not exist|is not currently accepting connections)"
    r"|permission denied for database"
    r"|no pg_hba\.conf entry"
    r")|no password supplied|server does not support SSL"
    r"|certificate verify failed|server certificate for .* does not match host name"
    r"|root certificate file"
)

CONNECTIONS = """
SELECT least(
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
    (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
)
"""


def unreachable(error: BaseException) -> bool:
    """Whether a Django database error means that there is no connection, not a failed query."""
    cause = error.__cause__
    if isinstance(error, InterfaceError):
        return "connection already closed" in str(error)
    if isinstance(cause, sqlite3.OperationalError):
        return "unable to open database file" in str(cause)  # Python 3.10 has no sqlite_errorname
    code = sqlstate(error)
    return isinstance(error, OperationalError) and (code is None or bool(LOST.match(code)))


def sqlstate(error: BaseException) -> str | None:
    """The server's code for a Django database error; None where no server has answered.

    '' for what is not from PostgreSQL. psycopg 3 calls it sqlstate, psycopg2 pgcode.
    """
    cause = error.__cause__
    return getattr(cause, "sqlstate", getattr(cause, "pgcode", ""))


def hopeless(error: BaseException) -> bool:
    """Whether waiting cannot cure it: a wrong password, no such role, no such database."""
    return isinstance(error.__cause__, sqlite3.Error) or bool(HOPELESS.search(str(error)))


def reason(error: BaseException) -> str:
    """The telling line of libpq's message, without the address that it begins with.

    psycopg 3 puts words of its own before it, and each attempt on a line of its own.
    """
    lines = str(error).splitlines() or [type(error).__name__]
    line = next((line for line in lines if "FATAL:" in line), lines[0])
    return re.sub(r"^.*?connection to server .* failed: |FATAL:\s+", "", line).strip().rstrip(".")


def address(db: BaseDatabaseWrapper = connection) -> str:
    """`HOST port PORT`, or the path of an SQLite file."""
    settings = db.settings_dict
    return f"{settings['HOST']} port {settings['PORT']}" if settings["HOST"] else settings["NAME"]


def connections_allowed() -> int:
    """How many this user may have at the same time, short of what is kept for superusers; 0 where
    nobody counts them."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS)
        return int(cursor.fetchone()[0])
