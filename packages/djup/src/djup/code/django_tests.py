"""Tests of Django code, on a throw-away PostgreSQL from a wheel."""

from collections.abc import Mapping, Sequence

from djup import PROJECT
from djup.host import process
from djup.postgres import local_server
from djup.terminal.task import this_task


def on_a_server(runner: Sequence[str], arguments: Sequence[str]) -> int:
    """Run Django's tests in the project's folder, on a PostgreSQL that is removed with them."""
    argv = [*runner, *arguments]
    if this_task.dry:
        return process.attach(argv, cwd=PROJECT)
    with local_server.throwaway() as server:
        environment = local_server.clean_environment() | django_variables(server)
        return process.attach(argv, cwd=PROJECT, env=environment)


def django_variables(server: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that lead Django's tests to this server, and to no database of the
    user's."""
    # Each key, so that nothing that is exported leads the tests to a database of worth.
    return {
        "DEBUG": "1",
        "SECRET_KEY": "",
        "ALLOWED_HOSTS": "",
        "SQL_ENGINE": "django.db.backends.postgresql",
        "SQL_DATABASE": server["PGDATABASE"],
        "SQL_USER": server["PGUSER"],
        "SQL_PASSWORD": server["PGPASSWORD"],
        "SQL_HOST": server["PGHOST"],
        "SQL_PORT": server["PGPORT"],
        **dict.fromkeys(("SQL_SSLMODE", "SQL_SSLROOTCERT", "DATABASE_URL"), ""),
    }
