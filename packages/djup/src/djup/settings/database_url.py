"""DATABASE_URL of `.env`: what it says in the words of the SQL_ keys."""

from djup.problems import problem

TLS = {"SQL_SSLMODE": "sslmode", "SQL_SSLROOTCERT": "sslrootcert"}
SCHEMES = ("postgres", "postgresql")
ALLOWED = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters encoded as %XX"


def values(url: str) -> dict[str, str]:
    """The values of the SQL_ keys that the URL stands for: those of TLS only where it has them.

    A problem, which shows nothing of the URL, where it is no PostgreSQL's or lacks a part.
    """
    from urllib.parse import parse_qs, unquote, urlsplit  # slow to load, and seldom needed

    try:
        parts = urlsplit(url)
        host, port = unquote(parts.hostname or ""), parts.port or 5432
        named = (parts.path[1:], parts.username, parts.password)
        database, user, password = (unquote(part or "", errors="strict") for part in named)
    except ValueError as error:  # it quotes what it could not read, which may be the password
        raise problem("ENV06", key="DATABASE_URL", allowed=ALLOWED) from error
    if parts.scheme not in SCHEMES or parts.fragment or not all((host, database, user, password)):
        raise problem("ENV06", key="DATABASE_URL", allowed=ALLOWED)
    given = {
        "SQL_HOST": host,
        "SQL_PORT": str(port),
        "SQL_DATABASE": database,
        "SQL_USER": user,
        "SQL_PASSWORD": password,
    }
    options = parse_qs(parts.query)
    return given | {key: options[name][-1] for key, name in TLS.items() if name in options}
