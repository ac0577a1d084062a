"""The collection as a whole: every task is explained, grouped, listed, and cheap to load."""

import inspect
import os
import subprocess
import sys
from typing import Any

import pytest
from checkout import SOURCE

from djup import ROOT
from tasks import namespace

# As they are listed: the default task of a collection by the collection's name.
TASKS: dict[str, Any] = {
    min((name, *aliases), key=len): namespace[name]
    for name, aliases in namespace.task_names.items()
}
NAMES = {
    *("build", "up", "down", "status", "doctor", "explain", "logs", "open", "compose"),
    *("migrate", "makemigrations", "manage", "schedule", "shell"),
    *("psql", "volumes", "nuke", "undo", "db.password", "db.create", "db.seed"),
    *("db.upgrade",),
    *("db.backup", "db.backups", "db.restore", "db.snapshot", "db.snapshots"),
    *("deploy", "deploy.status", "deploy.rollback", "deploy.logs", "deploy.down"),
    *("deploy.psql", "deploy.manage", "deploy.backup"),
    *("test", "lint", "hooks", "lock", "docs"),
}


def inv(*arguments: str) -> str:
    argv = [ROOT / "inv", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def parameters(name: str) -> set[str]:
    return set(inspect.signature(TASKS[name].body).parameters) - {"c"}


def test_every_promised_task_exists() -> None:
    assert set(TASKS) >= NAMES


@pytest.mark.parametrize("name", TASKS)
def test_explained(name: str) -> None:
    task = TASKS[name]
    assert task.group
    assert task.__doc__ and task.__doc__.strip()
    assert set(task.help) == parameters(name), "help= for each parameter, and for no other"
    assert all(task.help.values())


@pytest.mark.parametrize("arguments", [(), ("--list",)])
def test_the_list_has_every_task_in_a_group(arguments: tuple[str, ...]) -> None:
    lines = inv(*arguments).splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == sorted(TASKS)
    assert {task.group for task in TASKS.values()} <= set(lines)


HEAVY = ("django", "dotenv", "http.client", "pytest", "urllib.request", "webbrowser", "psycopg2")


def test_completion_loads_nothing_heavy() -> None:
    """The shell imports tasks.py at each TAB. Invoke's own share is none of ours."""
    code = "import sys; import tasks; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "djup.cli.program" in loaded
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["--help", "new"], ["adopt", "--settings"], ["x"]]
)
def test_djup_speaks_of_itself(words: list[str]) -> None:
    """Where it is started there is no `inv` yet."""
    argv = [sys.executable, "-c", "from djup.cli.outside import main; main()", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT / SOURCE)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    said = done.stdout + done.stderr
    assert "djup" in said and "inv " not in said
