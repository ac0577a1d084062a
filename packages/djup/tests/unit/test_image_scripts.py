"""The scripts of the Dockerfile on systems that are not at hand, such as Alpine's with apk."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from djup import ROOT
from djup.checkout import web_env
from djup.settings.layout import Layout

WEB = ROOT / "compose" / "web"


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of compose/web/, with the programs of `folder` alone."""
    argv = ["/bin/sh", str(WEB / script), *arguments]
    return subprocess.run(argv, env={"PATH": str(folder)}, capture_output=True, text=True)


def program(folder: Path, name: str, script: str = 'echo "${0##*/} $*"') -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("programs", "asked"),
    [
        (("apk",), ["apk add --no-cache gettext libpq"]),
        (("apk", "apt-get"), ["apk add --no-cache gettext libpq"]),
        (
            ("apt-get", "rm"),
            [
                "apt-get update",
                "apt-get install --yes --no-install-recommends gettext libpq",
                "rm -rf /var/lib/apt/lists/*",
            ],
        ),
    ],
)
def test_packages_by_the_manager_that_is_there(
    tmp_path: Path, programs: tuple[str, ...], asked: list[str]
) -> None:
    for name in programs:
        program(tmp_path, name)
    done = run("system-packages", tmp_path, "gettext", "libpq")
    lines = done.stdout.splitlines()
    lines[2:] = ["rm -rf /var/lib/apt/lists/*"] if lines[2:] else []  # what the * finds here
    assert (done.returncode, lines) == (0, asked)


def test_none_are_asked_of_nobody(tmp_path: Path) -> None:
    assert run("system-packages", tmp_path).returncode == 0
    done = run("system-packages", tmp_path, "gettext")
    assert done.returncode == 1 and "neither apk nor apt-get" in done.stderr


@pytest.mark.parametrize("name", ["useradd", "adduser"])
@pytest.mark.parametrize(("uid", "code"), [("10001", 0), ("1000", 1)])
def test_a_user_that_was_not_made_is_seen(tmp_path: Path, name: str, uid: str, code: int) -> None:
    program(tmp_path, name)  # as Debian's adduser does, it may end with 0 having made nobody
    program(tmp_path, "id", f"echo {uid}")
    done = run("add-user", tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (code, name)


def test_they_can_be_started() -> None:
    for script in ("add-user", "system-packages", "entrypoint", "healthcheck"):
        assert os.access(WEB / script, os.X_OK)


@pytest.mark.parametrize("lacking", [(), ("psycopg", "psycopg2")], ids=["driver", "none"])
def test_what_a_start_imports_with_and_without_a_driver(lacking: tuple[str, ...]) -> None:
    code = (
        f"import runpy, sys; sys.modules |= dict.fromkeys({lacking!r}); sys.argv = ['warm.py']\n"
        f"runpy.run_path({str(WEB / 'warm.py')!r}, run_name='__main__')\n"
        "print('django.db.backends.postgresql.base' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{not lacking}\n"), done.stderr


def test_what_settings_read_at_the_build_arrives_with_spaces_and_quotes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {"TITLE": "it's $HOME  *", "EMPTY": ""}
    monkeypatch.setattr(web_env, "layout", lambda: Layout(build_environment=values))
    given = web_env.build_arguments({"PYTHON_IMAGE": "", "SYSTEM_PACKAGES": ""})
    [command] = re.findall(r"(?m)^RUN (eval .*) \\$", (WEB / "Dockerfile").read_text())
    environment = {"PATH": os.environ["PATH"], **given}
    argv = ["/bin/sh", "-c", f"{command} env"]
    said = subprocess.run(argv, env=environment, capture_output=True, text=True).stdout
    assert {"TITLE=it's $HOME  *", "EMPTY=", "DJUP=build", "DEBUG=1"} <= set(said.splitlines())
