"""What a web says at its end, or of its database, whichever driver it has."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from djup.checkout import env
from djup.host.process import Result
from djup.problems import DatabaseStarts, Problem
from djup.settings.settings import Settings
from djup.stack.causes import login, migrations, web
from djup.stack.causes.asked import Asked
from djup.stack.causes.readiness import Readiness

NO_DRIVER = "Error loading psycopg2 or psycopg module\nEnded with status 78."
PSYCOPG = "asgiref==3.13.0 \\\n    --hash=sha256:0\npsycopg==3.3.9 \\\n    --hash=sha256:0\n"
LOCKS = [
    (PSYCOPG, "add libpq5 to SYSTEM_PACKAGES"),
    (f"{PSYCOPG}psycopg-binary==3.3.9 \\\n", "write psycopg2-binary or psycopg[binary]"),
    (f"{PSYCOPG}psycopg-c==3.3.9 \\\n", "write psycopg2-binary or psycopg[binary]"),
    ("asgiref==3.13.0 \\\n", "write psycopg2-binary or psycopg[binary]"),
]
NAMELESS = [
    'could not translate host name "db" to address: Name does not resolve',
    "failed to resolve host 'db': [Errno -2] Name or service not known",
]

SETTINGS_PY = '  File "/srv/project/config/settings.py", line 3, in <module>'
UNSET = [
    (f'{SETTINGS_PY}\n    KEY = os.environ["MAIL_KEY"]', "KeyError: 'MAIL_KEY'", "WEB11"),
    (f"{SETTINGS_PY}\n    KEY = PARTS['MAIL_KEY']", "KeyError: 'MAIL_KEY'", "WEB08"),
    (f'{SETTINGS_PY}\n    KEY = os.environ["SECRET_KEY"]', "KeyError: 'SECRET_KEY'", "WEB08"),
    (
        SETTINGS_PY,
        "decouple.UndefinedValueError: MAIL_KEY not found. Declare it as envvar or define a …",
        "WEB11",
    ),
    (SETTINGS_PY, 'environs.EnvError: Environment variable "MAIL_KEY" not set', "WEB11"),
    (SETTINGS_PY, "ValueError: MAIL_KEY is too short", "WEB08"),
]


@dataclass
class Lost:
    """A stack whose web runs and no longer finds the database by name."""

    settings: Settings

    def finds_database(self) -> bool:
        return False

    def is_web_itself(self, host: str) -> bool:
        return False


SOCKET = 'psql: error: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" '
WAITED_FOR = [
    f"{SOCKET}failed: FATAL:  the database system is starting up",
    f"{SOCKET}failed: FATAL:  the database system is shutting down",
    f"{SOCKET}failed: FATAL:  the database system is in recovery mode",
    f"{SOCKET}failed: FATAL:  the database system is not yet accepting connections\n"
    "DETAIL:  Consistent recovery state has not been yet reached.",
    f"{SOCKET}failed: server closed the connection unexpectedly",
    f"{SOCKET}failed: No such file or directory\n\tIs the server running locally and accepting?",
    "FATAL:  terminating connection due to administrator command",
]
REFUSED = [f'{SOCKET}failed: FATAL:  role "app" is not permitted to log in', "no such program"]


@dataclass
class Refusing:
    """A stack whose database answers its own superuser with this on stderr."""

    said: str

    def superuser(self, script: str) -> Result:
        return Result(2, "", self.said)


@pytest.mark.parametrize("said", [*WAITED_FOR, *REFUSED])
def test_a_database_that_starts_or_ends_is_waited_for(said: str) -> None:
    with pytest.raises(Problem) as caught:
        login.as_superuser(cast(Asked, Refusing(said)), "select 1")
    assert isinstance(caught.value, DatabaseStarts) == (said in WAITED_FOR)
    assert caught.value.code == ("DB22" if said in WAITED_FOR else "DB10")


@pytest.fixture
def stack() -> Asked:
    settings = env.settings_from("COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=x\nSQL_PASSWORD=x\n")
    return cast(Asked, Lost(settings))


@pytest.mark.parametrize(("lock", "fix"), LOCKS, ids=["none", "binary", "c", "other"])
def test_a_driver_that_cannot_be_loaded(
    stack: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str, fix: str
) -> None:
    (tmp_path / "base.txt").write_text(lock)
    monkeypatch.setattr(web, "REQUIREMENTS", tmp_path)
    found = web.problem_of(stack, NO_DRIVER, "Exited (78)")
    assert found.code == "IMG06" and fix in found.fix


@pytest.mark.parametrize("words", NAMELESS, ids=["psycopg2", "psycopg"])
def test_a_name_that_leads_nowhere(stack: Asked, words: str) -> None:
    answer = Readiness(ready=False, reason=f"the database does not answer: {words}")
    found = web.lost_names(stack, answer)
    assert found is not None and found.code == "DOCKER11"


@pytest.mark.parametrize("words", NAMELESS, ids=["psycopg2", "psycopg"])
def test_a_web_that_ended_because_a_name_led_nowhere(
    stack: Asked, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """The way out is to create the containers again, not an edit of SQL_HOST."""
    monkeypatch.setattr(web, "_misfit", lambda _: None)
    assert web.problem_of(stack, f"{words}\nEnded with status 69.", "exited").code == "DOCKER11"
    refused = "connection refused\nEnded with status 69."
    assert web.problem_of(stack, refused, "exited").code == "DB10"


@pytest.mark.parametrize(("frames", "exception", "code"), UNSET)
def test_a_variable_that_settings_require(
    stack: Asked, frames: str, exception: str, code: str
) -> None:
    log = f"Traceback (most recent call last):\n{frames}\n{exception}\nEnded with status 1."
    found = web.problem_of(stack, log, "exited")
    assert found.code == code
    assert (found.fix == "set MAIL_KEY in .env, then run: inv up") == (code == "WEB11")


def test_a_variable_that_django_environ_requires(stack: Asked) -> None:
    log = "Set the MAIL_KEY environment variable\nEnded with status 78."
    assert web.problem_of(stack, log, "exited").code == "WEB11"


@pytest.mark.parametrize(
    ("exception", "name"),
    [
        (
            "OSError: cannot load library 'libpango-1.0-0': libpango-1.0-0: cannot …",
            "libpango-1.0-0",
        ),
        ("ImportError: libmagic.so.1: cannot open shared object file: No such …", "libmagic.so.1"),
        ("ImportError: failed to find libmagic.  Check your installation", "libmagic"),
    ],
)
def test_a_library_of_the_system(stack: Asked, exception: str, name: str) -> None:
    log = f"Traceback (most recent call last):\n{SETTINGS_PY}\n{exception}\nEnded with status 1."
    found = web.problem_of(stack, log, "exited")
    assert found.code == "WEB12" and f"system library {name}," in found.what


def test_the_library_of_geodjango(stack: Asked) -> None:
    log = (
        'Could not find the GDAL library (tried "gdal"). Is GDAL installed?\nEnded with status 78.'
    )
    assert web.problem_of(stack, log, "exited").code == "WEB12"


def test_a_migrate_that_goes_on_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute from each time that another migration is seen."""
    now, progress = 1000.0, migrations.Progress()
    monkeypatch.setattr(migrations.time, "monotonic", lambda: now)
    assert not progress.has_time(lambda: None)
    assert progress.has_time(lambda: "  Applying a.0001...")
    now += 59
    assert progress.has_time(lambda: "  Applying a.0001...")
    now += 2
    assert not progress.has_time(lambda: "  Applying a.0001...")
    assert progress.has_time(lambda: "  Applying a.0002...")


def test_a_migrate_that_goes_on() -> None:
    progress = migrations.Progress()
    first = "Running migrations:\n  Applying a.0001... OK\n"
    logs = ["Starting", first, f"{first}a word of its own\n", f"{first}  Applying a.0002...", "Up"]
    assert [progress.goes_on(log) for log in logs] == [False, True, False, True, False]
