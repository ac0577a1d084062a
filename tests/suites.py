"""`inv test` in the repository of the toolkit: its own suites, and what each of them needs."""

import shutil
from collections.abc import Sequence

from djup import SOURCES
from djup.code import django_tests, suites
from djup.code.suites import Course, Round, Suite, pytest
from djup.docker import engine
from djup.host import packages


def run(
    only: str, strict: bool, arguments: Sequence[str], quick: bool = False, retry: bool = False
) -> None:
    """Run the suites, those that are quick, or the one named `only`; one that cannot run is a
    failure if `strict` or named. With `retry`, tests that fail run once more at the end."""
    rounds = suites.named(only, SUITES) if only else QUICK if quick else ROUNDS
    suites.run(Course(SUITES, rounds, arguments, retry), strict=strict or bool(only))


def _lacks_engine() -> str:
    return "" if engine.answers() else str(engine.diagnose("docker version").what)


def _lacks_browser() -> str:
    return "" if shutil.which("chromium") else "no Chromium; run: sudo apt-get install chromium"


# What runs beside what: deploys wait a lot, and to what kills the engine all others are in the way.
ROUNDS = (
    Round(("unit", "cli", "web", "app", "embedded", "browser"), beside=("deploy", "cluster")),
    Round(("docker", "projects"), beside=("faults",)),
    Round(("engine",)),
)
QUICK = (Round(("unit", "web", "app"), beside=("cli",)),)  # no engine, and no stack
STACKS = ("tests/runtimes", "tests/faults")
# What is done to an engine itself, that of all stacks or one of the tests' own.
ENGINE = ("tests/faults/test_docker_killed.py", "tests/faults/test_own_engine.py")
DOCKER = "--runtime=docker"
# By the site: on three nodes, or on one. The rest of that folder needs no Swarm of this engine.
DEPLOYS = ("tests/cluster", "-k")
TUTORIAL = "tests/projects/test_tutorial.py::test_the_tutorial[docker]"  # it deploys here, too
NO_SITE = tuple(
    f"tests/cluster/test_{name}.py"
    for name in ("archive_program", "standby_program", "edge", "new_swarm")
)
# Once in copies of this tree, and once in projects that have the wheels alone.
BOTH_WAYS = ("tests/runtimes/test_contract.py", "tests/runtimes/test_backups.py")
# On every processor: many short tests, each with a checkout and ports of its own.
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
DJANGO = (str(packages.PYTHON), "manage.py", "test")
# In two processes, each with a stack of its own that all tests of a file share.
BY_FILE = ("--numprocesses=2", "--dist=loadfile")
SUITES = {
    "unit": Suite(pytest("packages/djup/tests/unit", *PARALLEL), seconds=30),
    "cli": Suite(
        pytest("packages/djup/tests/cli", *PARALLEL), seconds=100, locks=("test", "build", "lint")
    ),
    "web": Suite(
        [
            *DJANGO,
            "--top-level-directory",
            str(SOURCES / "djup-web"),
            str(SOURCES / "djup-web/tests"),
        ],
        seconds=60,
        run=django_tests.on_a_server,
        locks=("embedded", "s3"),
    ),
    "app": Suite(DJANGO, seconds=8, run=django_tests.on_a_server, locks=("embedded",)),
    "embedded": Suite(
        pytest(*STACKS, "--runtime=embedded"),
        seconds=1000,
        locks=("test", "build", "zstd", "embedded"),
    ),
    "docker": Suite(
        pytest("tests/runtimes", *NO_SITE, DOCKER),
        seconds=650,
        locks=("test", "build"),
        lacks=_lacks_engine,
    ),
    "faults": Suite(
        pytest("tests/faults", DOCKER, *BY_FILE, *(f"--ignore={file}" for file in ENGINE)),
        seconds=760,
        locks=("test", "zstd"),
        lacks=_lacks_engine,
    ),
    "projects": Suite(
        pytest("tests/projects", *BOTH_WAYS, "--made"),
        seconds=330,
        locks=("test", "build", "embedded"),
        lacks=_lacks_engine,
    ),
    "browser": Suite(
        pytest("tests/browser"),
        seconds=60,
        locks=("test", "embedded", "browser", "docs"),
        lacks=_lacks_browser,
    ),
    "deploy": Suite(
        pytest(TUTORIAL, *DEPLOYS, "not three", *(f"--ignore={file}" for file in NO_SITE)),
        seconds=1600,
        locks=("test", "build", "zstd", "s3"),
        lacks=_lacks_engine,
    ),
    "cluster": Suite(
        pytest(*DEPLOYS, "three"), seconds=1400, locks=("test", "zstd", "s3"), lacks=_lacks_engine
    ),
    "engine": Suite(pytest(*ENGINE, DOCKER), seconds=125, lacks=_lacks_engine),
}
