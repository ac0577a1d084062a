"""Tests of Django code, on a throw-away PostgreSQL from a wheel."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from djup import STATE
from djup.checkout import web_env
from djup.host import process
from djup.postgres import local_server
from djup.settings.layout import layout
from djup.terminal.task import this_task


def on_a_server(runner: Sequence[str], arguments: Sequence[str], folder: Path | None = None) -> int:
    """Run Django's tests in `folder` (that of manage.py), on a PostgreSQL that is removed with
    them."""
    argv, cwd = [*runner, *arguments], folder or layout().folder
    if this_task.dry:
        return process.attach(argv, cwd=cwd)
    with local_server.throwaway() as server:
        ours = django_variables(server)
        # pytest has a setting of its own for the module, which this variable would replace.
        module = "" if "pytest" in runner else layout().settings
        started = web_env.started_by_us({**TEST_FACTS, **ours}, module)
        stand_ins = layout().build_environment  # for what the settings do not start without
        # djup's test command has uploads go to a folder that it removes; a project's own may not.
        media = {"MEDIA_ROOT": str(STATE / "test-media")} if layout().media else {}
        environment = {**stand_ins, **local_server.clean_environment(), **ours, **media, **started}
        return process.attach(argv, cwd=cwd, env=environment)


# What a project's own settings read of these, if `[tool.djup]` names them.
TEST_FACTS = {"CSRF_TRUSTED_ORIGINS": "http://localhost"}
KEY = "key-of-a-test-run-" + "0123456789" * 4


def django_variables(server: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that lead Django's tests to this server, and to no database of the
    user's."""
    # Each key, so that nothing that is exported leads the tests to a database of worth.
    return {
        "DEBUG": "1",
        "SECRET_KEY": KEY,
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "SQL_ENGINE": "django.db.backends.postgresql",
        "SQL_DATABASE": server["PGDATABASE"],
        "SQL_USER": server["PGUSER"],
        "SQL_PASSWORD": server["PGPASSWORD"],
        "SQL_HOST": server["PGHOST"],
        "SQL_PORT": server["PGPORT"],
        **dict.fromkeys(("SQL_SSLMODE", "SQL_SSLROOTCERT", "DATABASE_URL"), ""),
    }
