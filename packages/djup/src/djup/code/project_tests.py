"""`inv test` in a project: its own tests, by Django's runner or by pytest."""

from collections.abc import Sequence

from djup import REQUIREMENTS
from djup.code import django_tests
from djup.host import packages, process
from djup.host.process import ChildFailed
from djup.terminal.task import this_task

PYTEST = "pytest-django=="


def run(arguments: Sequence[str]) -> None:
    """Run the project's tests on a throw-away PostgreSQL; `ChildFailed` where one fails."""
    packages.ensure("embedded", *(["test"] if (REQUIREMENTS / "test.txt").exists() else []))
    words = ("-m", "pytest") if _has_pytest() else ("manage.py", "test")
    code = django_tests.on_a_server([str(packages.PYTHON), *words], arguments)
    process.stop_if_interrupted(code)
    if code and not this_task.dry:
        raise ChildFailed(code)


def _has_pytest() -> bool:
    """Whether the locks have pytest with its plugin for Django: whoever adds that wants it used."""
    return any(f"\n{PYTEST}" in lock.read_text() for lock in REQUIREMENTS.glob("*.txt"))
