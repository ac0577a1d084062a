"""DATABASE_URL of `.env`: what it says in the words of the SQL_ keys."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from djup.problems import problem

if TYPE_CHECKING:
    from urllib.parse import SplitResult

TLS = {"SQL_SSLMODE": "sslmode", "SQL_SSLROOTCERT": "sslrootcert"}
SCHEMES = ("postgres", "postgresql")
ALLOWED = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters encoded as %XX"


def values(url: str) -> dict[str, str]:
    """The values of the SQL_ keys that the URL stands for: those of TLS only where it has them.

    A problem, which shows nothing of the URL, where it is no PostgreSQL's or lacks a part.
    """
    from urllib.parse import parse_qs, urlsplit  # slow to load, and seldom needed

    try:
        parts = urlsplit(url)
        given = _named(parts)
    except ValueError as error:  # it quotes what it could not read, which may be the password
        raise problem("ENV06", key="DATABASE_URL", allowed=ALLOWED) from error
    if parts.scheme not in SCHEMES or parts.fragment or not all(given.values()):
        raise problem("ENV06", key="DATABASE_URL", allowed=ALLOWED)
    options = parse_qs(parts.query)
    return given | {key: options[name][-1] for key, name in TLS.items() if name in options}


def of(values: Mapping[str, str]) -> str:
    """The URL that says what these SQL_ keys say; the folder of a socket is its parameter host."""
    from urllib.parse import quote, urlencode

    user, password, name, host = (
        quote(values[key], safe="")
        for key in ("SQL_USER", "SQL_PASSWORD", "SQL_DATABASE", "SQL_HOST")
    )
    given = {name: values[key] for key, name in TLS.items() if values.get(key)}
    where = f"{host}:{values['SQL_PORT']}"
    if values["SQL_HOST"].startswith("/"):
        where, given = "", {"host": values["SQL_HOST"], "port": values["SQL_PORT"], **given}
    address, query = f"{user}:{password}@{where}/{name}", urlencode(given, quote_via=quote)
    return f"postgres://{address}{'?' if query else ''}{query}"


def _named(parts: "SplitResult") -> dict[str, str]:
    """What stands before the question mark; ValueError where it cannot be read."""
    from urllib.parse import unquote

    named = {
        "SQL_DATABASE": parts.path[1:],
        "SQL_USER": parts.username,
        "SQL_PASSWORD": parts.password,
    }
    return {
        "SQL_HOST": unquote(parts.hostname or ""),
        "SQL_PORT": str(parts.port or 5432),
        **{key: unquote(part or "", errors="strict") for key, part in named.items()},
    }
