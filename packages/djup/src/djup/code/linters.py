"""`inv lint`: format, lint, types, and models without a migration."""

import os
from collections.abc import Mapping, Sequence

from djup import IS_INSTALLED, REQUIREMENTS, ROOT, SOURCES
from djup.checkout import web_env
from djup.host import packages, process
from djup.host.process import ChildFailed
from djup.settings.layout import layout
from djup.terminal import console
from djup.terminal.task import this_task

# Migrations are looked for on an empty SQLite in memory: no database is needed for that.
SQLITE = {
    "DEBUG": "1",
    "SQL_ENGINE": "django.db.backends.sqlite3",
    "SQL_DATABASE": ":memory:",
    "DATABASE_URL": "",
}


UNREAD = 2  # what `ruff format` ends with, if it cannot read a file, or its own settings
NOT_RUN = -1  # the others would report what follows from that, or crash
OUTCOMES = {0: "passed", NOT_RUN: "not run"}
# What the toolkit brings into the image runs on every Python that Django 4.2 to 6.x supports.
OLDEST_PYTHON = "3.10"
MANUAL = "docs/tools/website.py"  # builds the toolkit's manual, and follows its links
# What a project's own settings read of these, if `[tool.djup]` names them.
FACTS = {
    "SECRET_KEY": "key-of-a-linter",
    "ALLOWED_HOSTS": "localhost",
    "CSRF_TRUSTED_ORIGINS": "http://localhost",
    **dict.fromkeys(("SQL_USER", "SQL_PASSWORD", "SQL_HOST"), "unused"),
    "SQL_PORT": "5432",
}


def run(fix: bool) -> None:
    """Run every linter, then say what they found; `fix` lets ruff fix what it can."""
    packages.ensure(*packages.of_linters())
    started = web_env.started_by_us(FACTS | SQLITE, layout().settings)
    environment = {**layout().build_environment, **os.environ, **SQLITE, **started}
    codes = _run(_installed(_linters(fix)), environment)
    if not this_task.dry:
        _report(codes)


def _run(linters: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> dict[str, int]:
    """Run each, and give the code that it ended with."""
    codes: dict[str, int] = {}
    for name, argv in linters.items():
        unread = codes.get("format") == UNREAD
        codes[name] = NOT_RUN if unread else process.attach(argv, env=environment)
        if this_task.interrupted:
            raise KeyboardInterrupt
    return codes


def _report(codes: Mapping[str, int]) -> None:
    outcomes = {name: OUTCOMES.get(code, "FAILED") for name, code in codes.items()}
    console.say("\n" + console.table(("LINTER", "OUTCOME"), list(outcomes.items())))
    if codes.get("format") == UNREAD:
        console.say("ruff cannot read its settings or a file: correct that first")
    elif any(codes.values()):
        console.say("inv lint --fix fixes what it can")
    if any(codes.values()):
        raise ChildFailed(1)


def _linters(fix: bool) -> dict[str, Sequence[str]]:
    """The command of each linter, in the order in which they run."""
    python, manage = ".venv/bin/python", f"{layout().prefix}manage.py"
    ruff = [python, "-m", "ruff"]
    return {  # format last of ruff's two: what a fix removes may leave lines to be closed up
        "style": [*ruff, "check", *(["--fix"] if fix else []), "."],
        "format": [*ruff, "format", *([] if fix else ["--check"]), "."],
        "types": [python, "-m", "mypy"],
        **_of_the_image([python, "-m", "mypy"]),
        "migrations": [python, manage, "makemigrations", "--check", "--dry-run"],
        **({} if IS_INSTALLED else {"manual": [python, MANUAL]}),
    }


def _of_the_image(mypy: Sequence[str]) -> dict[str, list[str]]:
    """Give the check of djup_web for the oldest Python, where one works on it."""
    web = SOURCES / "djup-web/src"
    argv = [*mypy, "--python-version", OLDEST_PYTHON, str(web.relative_to(ROOT))]
    return {f"types on Python {OLDEST_PYTHON}": argv} if web.is_dir() else {}


def _installed(linters: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Those whose program the locks have: a project that was adopted keeps its own."""
    locked = "".join(lock.read_text() for lock in sorted(REQUIREMENTS.glob("*.txt")))
    return {
        name: argv
        for name, argv in linters.items()
        if "-m" not in argv or f"\n{argv[argv.index('-m') + 1]}==" in locked
    }
