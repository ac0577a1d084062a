"""`inv lint`: format, lint, types, and models without a migration."""

import os
from collections.abc import Sequence

from djup import ROOT, SOURCES
from djup.host import packages, process
from djup.host.process import ChildFailed
from djup.terminal import console
from djup.terminal.task import this_task

# Migrations are looked for on an empty SQLite in memory: no database is needed for that.
SQLITE = {
    "DEBUG": "1",
    "SQL_ENGINE": "django.db.backends.sqlite3",
    "SQL_DATABASE": ":memory:",
    "DATABASE_URL": "",
}


# What the toolkit brings into the image runs on every Python that Django 4.2 to 6.x supports.
OLDEST_PYTHON = "3.10"


def run(fix: bool) -> None:
    """Run every linter, then say what they found; `fix` lets ruff fix what it can."""
    packages.ensure("lint")
    python = ".venv/bin/python"
    ruff = [python, "-m", "ruff"]
    linters = {  # format last of ruff's two: what a fix removes may leave lines to be closed up
        "style": [*ruff, "check", *(["--fix"] if fix else []), "."],
        "format": [*ruff, "format", *([] if fix else ["--check"]), "."],
        "types": [python, "-m", "mypy"],
        **_of_the_image([python, "-m", "mypy"]),
        "migrations": [python, "project/manage.py", "makemigrations", "--check", "--dry-run"],
    }
    codes = {}
    for name, argv in linters.items():
        codes[name] = process.attach(argv, env=os.environ | SQLITE)
        if this_task.interrupted:
            raise KeyboardInterrupt
    if this_task.dry:
        return
    outcomes = {name: "FAILED" if code else "passed" for name, code in codes.items()}
    console.say("\n" + console.table(("LINTER", "OUTCOME"), list(outcomes.items())))
    if any(codes.values()):
        console.say("inv lint --fix fixes what it can")
        raise ChildFailed(1)


def _of_the_image(mypy: Sequence[str]) -> dict[str, list[str]]:
    """Give the check of djup_web for the oldest Python, where one works on it."""
    web = SOURCES / "djup-web/src"
    argv = [*mypy, "--python-version", OLDEST_PYTHON, str(web.relative_to(ROOT)), "compose/web"]
    return {f"types on Python {OLDEST_PYTHON}": argv} if web.is_dir() else {}
