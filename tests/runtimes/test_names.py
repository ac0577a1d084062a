"""A project may have apps and commands of the commonest names: nothing of ours is called so."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import checkout
import pytest
from stacks import Embedded, labels

from djup.code import django_tests
from djup.host import packages
from djup.postgres import local_server

APPS = ("shop", "blog", "accounts", "core", "api", "pages", "polls", "orders", "tasks")
COMMANDS = ("seed", "setup", "sync", "backup", "wait_for_db")
MODEL = """\
from django.db import models


class Item(models.Model):
    text = models.TextField()
"""
COMMAND = """\
from django.core.management import BaseCommand


class Command(BaseCommand):
    def handle(self, *args, **options):
        self.stdout.write("of the project")
"""
# The starter's own, of which users is one; of djup_web's those that count on what is installed, and
# the quickest of those that create apps.
OWN = ("home", "notes", "users")
TESTS = ("settings", "migrations_state", "probes", "seeding")
ASKED = "import json; from django.core import management as m; print(json.dumps(m.get_commands()))"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, embedded_runtime: Embedded) -> Path:
    """The starter's project with the apps and the commands of a user."""
    folder = checkout.make(tmp_path_factory.mktemp("names") / "shop") / "project"
    for app in APPS:
        (folder / app / "migrations").mkdir(parents=True)
        for name in ("__init__.py", "migrations/__init__.py"):
            (folder / app / name).touch()
        (folder / app / "models.py").write_text(MODEL)
    commands = folder / "shop" / "management" / "commands"
    commands.mkdir(parents=True)
    for name in COMMANDS:
        (commands / f"{name}.py").write_text(COMMAND)
    with (folder / "config" / "settings.py").open("a") as settings:
        settings.write(f"\nINSTALLED_APPS += {APPS!r}\n")
    return folder


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """The environment of the project's tests, with a server of their own."""
    with local_server.throwaway() as server:
        yield local_server.clean_environment() | django_tests.django_variables(server)


def manage(project: Path, *arguments: str, **environment: str) -> str:
    """What `manage.py arguments` prints, on both streams."""
    argv = [packages.PYTHON, "manage.py", *arguments]
    done = subprocess.run(
        argv, cwd=project, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_our_tests_pass_beside_them(project: Path, variables: dict[str, str]) -> None:
    manage(project, "makemigrations", **variables)
    web = labels(str(project.parent / "packages" / "djup-web"), *TESTS)
    for chosen in (OWN, web):
        said = manage(project, "test", *chosen, **variables)
        assert "Found 0" not in said and "\nOK" in said


def test_their_commands_are_theirs(project: Path, variables: dict[str, str]) -> None:
    found = json.loads(manage(project, "shell", "--verbosity", "0", "-c", ASKED, **variables))
    assert {command: found[command] for command in COMMANDS} == dict.fromkeys(COMMANDS, "shop")
    assert manage(project, "seed", **variables) == "of the project\n"
