"""libpq's variables: how psql, pg_dump and their like find a database.

https://www.postgresql.org/docs/current/libpq-envars.html
"""

NAMES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "root_certificate": "PGSSLROOTCERT",
    "program": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def variables(**wanted: str) -> dict[str, str]:
    """Give the variables of the names that are given and not empty."""
    return {NAMES[name]: value for name, value in wanted.items() if value}
