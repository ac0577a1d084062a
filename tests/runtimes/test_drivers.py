"""psycopg 3 in place of psycopg2, and beside it; the newest Django and the oldest: all is the same
to a user.

On Docker it is Django 6 and the only driver, in an image on Debian with a package of the system.
Without Docker it is Django 4.2; both drivers are installed, and Django takes psycopg 3.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import Checkout, Docker, Make, Runtime, docker, eventually, web_tests

from djup import ROOT

SLIM = "python:3.13-slim"
NEWEST, OLDEST = "6", "4.2"
VERSIONS = (
    "import django; from django.db.backends.postgresql import psycopg_any as it; "
    "print(django.__version__, it.is_psycopg3)"
)
TESTS = (
    *("database", "unavailable", "probes", "migrating", "migrations_state", "additive", "seeding"),
    *("logs", "unrun", "static_files", "static_names"),
)
ASKS = """\
from django.http import HttpResponse
from notes.models import Note
def index(request):
    return HttpResponse(str(Note.objects.count()))
"""


@pytest.fixture(scope="module")
def stack(
    make: Make, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    stack = make(runtime, name="other")
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(runtime, Docker):
            on_debian(stack)
        else:
            patch.setenv("PYTHONPATH", str(with_others(tmp_path_factory.mktemp("others"))))
        stack.inv("up")
        yield stack


def on_debian(stack: Checkout) -> None:
    if docker("image", "inspect", SLIM, check=False).returncode:
        docker("pull", SLIM, timeout=600)
    stack.set("PYTHON_IMAGE", SLIM)
    stack.set("SYSTEM_PACKAGES", "gettext")
    base = stack.root / "requirements" / "base.in"
    others = {
        "psycopg2-binary": "psycopg[binary]",
        # No Django 6 runs on the oldest Python that the locks are for.
        "Django>=5.2,<5.3": f"Django>={NEWEST}; python_version >= '3.12'",
    }
    text = base.read_text()
    for ours, other in others.items():
        assert ours in text
        text = text.replace(ours, other)
    base.write_text(text)
    # The checkout's .venv is lent, and has no programs of its own.
    shutil.copy(ROOT / ".venv/bin/uv", stack.root / ".venv/bin/uv")
    stack.inv("lock")
    lock = base.with_suffix(".txt").read_text()
    assert "psycopg-binary==" in lock and "psycopg2" not in lock


def with_others(folder: Path) -> Path:
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*argv, "psycopg[binary]", f"Django~={OLDEST}.0"], check=True, timeout=300)
    return folder


def test_it_serves(stack: Checkout) -> None:
    assert stack.get()[0] == 200 and stack.get("readyz")[0] == 200
    said = stack.inv("manage", "--", "shell", "-c", VERSIONS).stdout.splitlines()[-1]
    django = NEWEST if isinstance(stack.runtime, Docker) else OLDEST
    assert said.startswith(f"{django}.") and said.endswith(" True")
    assert stack.post_note("by psycopg 3") == 200
    stack.inv("migrate")
    assert stack.found_by_doctor() == set()


def test_the_tests_of_the_toolkit(stack: Checkout) -> None:
    done = stack.inv("manage", "--", "test", "--no-input", *web_tests(stack, *TESTS))
    assert "\nOK" in done.stderr and "Found 0" not in done.stdout, done


def test_a_database_that_goes_away_is_said_on_the_page(stack: Checkout) -> None:
    before = stack.write("project/home/views.py", ASKS)
    eventually(lambda: stack.get()[1].isdigit(), 15, "the view that asks the database is served")
    stop_database(stack)
    eventually(lambda: stack.get()[0] == 503, 15, "the page says so")
    assert "The database cannot be reached" in stack.get()[1]
    assert "Traceback" not in stack.get()[1]
    assert stack.found_by_doctor() != set()
    stack.inv("up")
    assert stack.get()[1].isdigit()
    stack.write("project/home/views.py", before)


def stop_database(stack: Checkout) -> None:
    if isinstance(stack.runtime, Docker):
        docker("kill", f"{stack.project}-db-1")
    else:
        os.kill(int((stack.root / ".state" / "db.lock").read_text()), 9)


def test_a_password_that_is_wrong_has_its_cause(stack: Checkout) -> None:
    stack.inv("down")
    before = stack.values["SQL_PASSWORD"]
    stack.set("SQL_PASSWORD", "another-password-than-before")
    stack.refused("DB02")
    stack.set("SQL_PASSWORD", before)
    stack.inv("up")


# Debian's image


@pytest.fixture
def slim(stack: Checkout, docker_runtime: Docker) -> Checkout:
    return stack


def test_the_check_on_debian_reports_health(slim: Checkout) -> None:
    web = f"{slim.project}-web-1"
    assert docker("inspect", "--format", "{{.State.Health.Status}}", web).stdout == "healthy\n"
    ask = ["python", "-I", "-S", "/usr/local/share/web/ask.py"]
    # Whatever proxy the environment names, it is this container that is asked.
    proxies = ("--env", "http_proxy=http://127.0.0.1:9", "--env", "HTTP_PROXY=http://127.0.0.1:9")
    assert docker("exec", *proxies, web, *ask, "healthz").stdout == ""
    wrong = docker("exec", web, *ask, "no-such-page", check=False)
    assert wrong.returncode == 1 and "/no-such-page: HTTP/1.1 404" in wrong.stderr


def test_the_shell_is_one_that_is_there(slim: Checkout) -> None:
    assert slim.inv("shell", "--", "-c", "echo $0").stdout.strip().endswith("/bash")
    assert slim.inv("shell", "--", "-c", "exit 7", code=7).stdout == ""


def test_makemessages_works(slim: Checkout) -> None:
    locale = slim.root / "project" / "home" / "locale"
    locale.mkdir()
    slim.write(
        "project/home/words.py", "from django.utils.translation import gettext as _\n_('Sun')\n"
    )
    slim.inv("manage", "--", "makemessages", "--locale", "de")
    assert 'msgid "Sun"' in (locale / "de/LC_MESSAGES/django.po").read_text()
    slim.inv("manage", "--", "compilemessages")
    assert (locale / "de/LC_MESSAGES/django.mo").stat().st_size


def test_the_production_image_on_debian(slim: Checkout) -> None:
    name = f"{slim.project}-prod"
    argv = [
        "build",
        "--quiet",
        "--target",
        "prod",
        "--file",
        "compose/web/Dockerfile",
        "--tag",
        name,
    ]
    arguments = ("--build-arg", f"PYTHON_IMAGE={SLIM}", "--build-arg", "SYSTEM_PACKAGES=gettext")
    docker(*argv, *arguments, ".", cwd=slim.root, timeout=600)
    try:
        look = (
            "id -un; id -u; stat -c %U /srv/static; command -v msgfmt; python -c 'import psycopg'"
        )
        said = docker("run", "--rm", name, "sh", "-c", look).stdout.split()
        assert said == ["web", "10001", "web", "/usr/bin/msgfmt"]
        bad = docker("run", "--rm", name, "healthcheck", check=False)
        assert bad.returncode == 1 and "Connection refused" in bad.stderr
    finally:
        docker("image", "rm", "--force", name)
