"""`inv test` in a project: its own tests, by Django's runner or by pytest, and further suites."""

import re
from collections.abc import Sequence
from pathlib import Path

from djup import REQUIREMENTS, ROOT
from djup.code import django_tests
from djup.host import packages, process
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.settings.layout import DJANGO, PYTEST, layout
from djup.terminal import console
from djup.terminal.task import this_task

PLUGIN = "pytest-django=="
SECTION = re.compile(r"(?m)^\[(tool\.pytest[.\w]*|tool:pytest|pytest)\]")


TESTS = "tests"  # the suite that every project has


def run(suite: str, arguments: Sequence[str]) -> None:
    """Run the project's tests and its further suites, or one of them, each on a throw-away
    PostgreSQL; `ChildFailed` with the exit code of the first that fails."""
    suites = {TESTS: (_runner(), _folder())}
    suites |= {name: (command, ROOT) for name, command in layout().suites.items()}
    if suite and suite not in suites:
        raise problem("TASK05", suite=repr(suite), known=", ".join(suites))
    packages.ensure("embedded", *packages.optional("dev", "test"))
    codes = {
        name: _code(command, arguments if name == (suite or TESTS) else (), folder)
        for name, (command, folder) in suites.items()
        if name == (suite or name)
    }
    if this_task.dry:
        return
    if len(codes) > 1:
        rows = [(name, "FAILED" if code else "passed") for name, code in codes.items()]
        console.say("\n" + console.table(("SUITE", "OUTCOME"), rows))
    if failed := [code for code in codes.values() if code]:
        raise ChildFailed(failed[0])


def _code(command: Sequence[str], arguments: Sequence[str], folder: Path) -> int:
    """Run a suite; its exit code."""
    code = django_tests.on_a_server(command, arguments, folder)
    process.stop_if_interrupted(code)
    return code


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
