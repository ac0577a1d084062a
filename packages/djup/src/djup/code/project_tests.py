"""`inv test` in a project: its own tests, by Django's runner or by pytest."""

import re
from collections.abc import Sequence
from pathlib import Path

from djup import REQUIREMENTS, ROOT
from djup.code import django_tests
from djup.host import packages, process
from djup.host.process import ChildFailed
from djup.settings.layout import DJANGO, PYTEST, layout
from djup.terminal.task import this_task

PLUGIN = "pytest-django=="
SECTION = re.compile(r"(?m)^\[(tool\.pytest[.\w]*|tool:pytest|pytest)\]")


def run(arguments: Sequence[str]) -> None:
    """Run the project's tests on a throw-away PostgreSQL; `ChildFailed` where one fails."""
    packages.ensure("embedded", *packages.optional("dev", "test"))
    code = django_tests.on_a_server(_runner(), arguments, _folder())
    process.stop_if_interrupted(code)
    if code and not this_task.dry:
        raise ChildFailed(code)


def _runner() -> Sequence[str]:
    """The command that runs the tests: what `[tool.djup]` says, else what the locks suggest."""
    chosen = layout().test or (PYTEST if _has_pytest() else DJANGO)
    python = str(packages.PYTHON)
    if chosen == PYTEST:
        return [python, "-m", "pytest"]
    return [python, "manage.py", "test"] if isinstance(chosen, str) else chosen


def _folder() -> Path:
    """Where it runs: in the folder of manage.py, unless pytest is configured above that."""
    configured = (ROOT / name for name in ("pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml"))
    if PYTEST in _runner() and any(_configures_pytest(file) for file in configured):
        return ROOT
    return layout().folder


def _configures_pytest(file: Path) -> bool:
    return file.exists() and bool(SECTION.search(file.read_text(encoding="utf-8")))


def _has_pytest() -> bool:
    """Whether the locks have pytest with its plugin for Django: whoever adds that wants it used."""
    return any(f"\n{PLUGIN}" in lock.read_text() for lock in REQUIREMENTS.glob("*.txt"))
