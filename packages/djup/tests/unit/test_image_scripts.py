"""What the Dockerfile runs on systems that are not at hand, such as Alpine's with apk."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from djup_web.image import __main__ as image

from djup import ROOT
from djup.checkout import web_env
from djup.settings.layout import Layout

DOCKERFILE = (ROOT / "compose" / "web" / "Dockerfile").read_text()


def script(name: str) -> str:
    """What stands in the Dockerfile under a name."""
    [found] = re.findall(rf"(?ms)^\w+ <<'{name}'.*?\n(.*?)^{name}$", DOCKERFILE)
    return str(found)


def run(name: str, folder: Path, asked: str = "") -> subprocess.CompletedProcess[str]:
    """A script of the Dockerfile, with the programs of `folder` alone."""
    environment = {"PATH": str(folder), "SYSTEM_PACKAGES": asked}
    argv = ["/bin/sh", "-c", script(name)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True)


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
    done = run("system-packages", tmp_path, "gettext libpq")
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


def test_the_secrets_of_a_build_are_read(tmp_path: Path) -> None:
    for name, text in (("package_index", "PIP_INDEX_URL=https://b.example\n"), ("package_ca", "x")):
        (tmp_path / name).write_text(text)
    command = script("package-index").replace("/run/secrets", str(tmp_path))
    argv = ["/bin/sh", "-euc", f"{command} env"]
    said = subprocess.run(argv, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    given = {"PIP_INDEX_URL=https://b.example", f"SSL_CERT_FILE={tmp_path}/package_ca"}
    assert given <= set(said.stdout.splitlines())


@pytest.mark.parametrize("kind", ["web", "prod"])
def test_a_program_of_the_projects_own_takes_the_place(tmp_path: Path, kind: str) -> None:
    own, programs = tmp_path / "own", tmp_path / "bin"
    folder = own / "prod" if kind == "prod" else own
    for made in (folder, programs):
        made.mkdir(parents=True)
    (folder / "entrypoint").write_text("#!/bin/sh\n# Ours.\n")
    image.install(kind, own, programs)
    assert (programs / "entrypoint").read_text() == "#!/bin/sh\n# Ours.\n"
    assert "ask.py" in (programs / "healthcheck").read_text() and (own / "ask.py").exists()
    assert all(os.access(programs / name, os.X_OK) for name in image.NAMES)


@pytest.mark.parametrize("lacking", [(), ("psycopg", "psycopg2")], ids=["driver", "none"])
def test_what_a_start_imports_with_and_without_a_driver(lacking: tuple[str, ...]) -> None:
    code = (
        f"import sys; sys.modules |= dict.fromkeys({lacking!r})\n"
        "from djup_web.image import warm; warm.run()\n"
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
    [command] = re.findall(r"(?m)^RUN (eval .*) \\$", DOCKERFILE)
    environment = {"PATH": os.environ["PATH"], **given}
    argv = ["/bin/sh", "-c", f"{command} env"]
    said = subprocess.run(argv, env=environment, capture_output=True, text=True).stdout
    assert {"TITLE=it's $HOME  *", "EMPTY=", "DJUP=build", "DEBUG=1"} <= set(said.splitlines())
