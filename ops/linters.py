"""`inv lint`: format, lint, types, and models without a migration."""

import os

from ops import packages, process
from ops.process import ChildFailed

# Migrations are looked for on an empty SQLite in memory: no database is needed for that.
SQLITE = {
    "DEBUG": "1",
    "SQL_ENGINE": "django.db.backends.sqlite3",
    "SQL_DATABASE": ":memory:",
}


def run(fix: bool) -> None:
    """Run every linter, then fail if one of them did; `fix` lets ruff mend what it can."""
    packages.ensure("lint")
    python = ".venv/bin/python"
    ruff = [python, "-m", "ruff"]
    commands = [
        [*ruff, "format", *([] if fix else ["--check"]), "."],
        [*ruff, "check", *(["--fix"] if fix else []), "."],
        [python, "-m", "mypy"],
        [python, "project/manage.py", "makemigrations", "--check", "--dry-run"],
    ]
    codes = [process.attach(argv, env=os.environ | SQLITE) for argv in commands]
    if any(codes):
        raise ChildFailed(1)
