"""`inv test`: every suite that this machine can run, and why it could not run the others."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ops import ROOT, console, docker, packages, process
from ops.packages import InstallFailed
from ops.problems import problem
from ops.process import ChildFailed

PYTHON = ".venv/bin/python"
PROJECT = ROOT / "project"


def attach(argv: Sequence[str], arguments: Sequence[str]) -> int:
    """Run a suite on our own terminal."""
    return process.attach([*argv, *arguments])


@dataclass(frozen=True)
class Suite:
    """Tests that need the same things.

    `run` takes the runner's `argv` and its arguments and gives its exit code; `lacks` says what
    this machine has not, '' if nothing; `locks` are the requirements that are installed first.
    """

    argv: Sequence[str]
    run: Callable[[Sequence[str], Sequence[str]], int] = attach
    locks: tuple[str, ...] = ("test",)
    lacks: Callable[[], str] = str


def run(only: str, strict: bool, arguments: Sequence[str]) -> None:
    """Run the suites, or the one named `only`; one that cannot run fails if `strict` or named."""
    if only and only not in SUITES:
        raise problem("TASK05", suite=repr(only), known=", ".join(SUITES))
    outcomes = {only: _outcome(SUITES[only], arguments)} if only else _all_outcomes(arguments)
    console.say("\n" + console.table(("SUITE", "OUTCOME"), list(outcomes.items())))
    failures = ("FAILED", "not run") if strict or only else ("FAILED",)
    if any(outcome.startswith(failures) for outcome in outcomes.values()):
        raise ChildFailed(1)


def _all_outcomes(arguments: Sequence[str]) -> dict[str, str]:
    # All at first: nothing is installed while a suite runs.
    obstacles = {name: _obstacle(suite) for name, suite in SUITES.items()}
    outcomes: dict[str, str] = {}
    for longest, others in ROUNDS.items():
        beside = bool(others) and not obstacles[longest] and not process.mode.dry
        outcomes |= _round(longest, others, arguments, beside=beside)
    return outcomes


def _round(
    longest: str, others: Sequence[str], arguments: Sequence[str], *, beside: bool
) -> dict[str, str]:
    """Some suites one after the other, and the longest, which mostly waits, beside them."""
    if not beside:
        return {name: _outcome(SUITES[name], arguments) for name in (*others, longest)}
    argv = [*SUITES[longest].argv, *arguments]
    with process.beside(argv, env={**os.environ, "FIRST_PORT": BESIDE_PORT}) as finish:
        outcomes = {name: _outcome(SUITES[name], arguments) for name in others}
        return outcomes | {longest: _worded(finish())}


def _obstacle(suite: Suite) -> str:
    """Why it cannot run here; '' if it can."""
    return suite.lacks() or _cannot_install(suite.locks)


def _outcome(suite: Suite, arguments: Sequence[str]) -> str:
    if reason := _obstacle(suite):
        return f"not run: {reason}"
    code = suite.run(suite.argv, arguments)
    if process.mode.interrupted:
        raise KeyboardInterrupt
    return _worded(code)


def _worded(code: int) -> str:
    return f"FAILED (exit code {code})" if code else "passed"


def _cannot_install(locks: Sequence[str]) -> str:
    try:
        packages.ensure(*locks)
    except InstallFailed as failed:
        return f"requirements/{locks[-1]}.txt cannot be installed here: {failed}"
    return ""


def _lacks_engine() -> str:
    return "" if docker.engine_answers() else str(docker.diagnose("docker version").what)


def _lacks_browser() -> str:
    return "" if shutil.which("chromium") else "no Chromium; type: sudo apt-get install chromium"


def _pytest(*options: str) -> Sequence[str]:
    return [PYTHON, "-m", "pytest", *options]


def _on_a_server(runner: Sequence[str], arguments: Sequence[str]) -> int:
    argv = [*runner, *arguments]
    if process.mode.dry:
        return process.attach(argv, cwd=PROJECT)
    from ops import postgres

    with postgres.throwaway() as server:
        environment = postgres.clean_environment() | django_variables(server)
        return process.attach(argv, cwd=PROJECT, env=environment)


def django_variables(server: Mapping[str, str]) -> dict[str, str]:
    # Each key, so that nothing that is exported leads the tests to a database of worth.
    return {
        "DEBUG": "1",
        "SECRET_KEY": "",
        "ALLOWED_HOSTS": "",
        "SQL_ENGINE": "django.db.backends.postgresql",
        "SQL_DATABASE": server["PGDATABASE"],
        "SQL_USER": server["PGUSER"],
        "SQL_PASSWORD": server["PGPASSWORD"],
        "SQL_HOST": server["PGHOST"],
        "SQL_PORT": server["PGPORT"],
        **dict.fromkeys(("SQL_SSLMODE", "SQL_SSLROOTCERT", "DATABASE_URL"), ""),
    }


# What runs beside what: nodes need a quiet machine, to tell a slow one from a dead one, and what
# kills the engine does so under whatever runs.
ROUNDS = {
    "faults": ("unit", "cli", "app", "embedded", "docker", "browser"),
    "cluster": ("deploy",),
    "engine": (),
}
BESIDE_PORT = "8700"  # from here on, so that two that look for a free one do not find the same
DEPLOYS = ("tests/cluster", "-k")  # by the site: on three nodes, or on one
STACKS = ("tests/runtimes", "tests/faults")
# What is done to an engine itself, that of all stacks or one of the tests' own.
ENGINE = ("tests/faults/test_docker_killed.py", "tests/faults/test_own_engine.py")
DOCKER = "--runtime=docker"
SUITES = {
    "unit": Suite(_pytest("tests/unit")),
    "cli": Suite(_pytest("tests/cli"), locks=("test", "build")),
    "app": Suite(
        [str(packages.PYTHON), "manage.py", "test"], run=_on_a_server, locks=("embedded",)
    ),
    "embedded": Suite(
        _pytest(*STACKS, "--runtime=embedded"), locks=("test", "build", "zstd", "embedded")
    ),
    "docker": Suite(
        _pytest("tests/runtimes", DOCKER), locks=("test", "build"), lacks=_lacks_engine
    ),
    "faults": Suite(
        _pytest("tests/faults", DOCKER, *(f"--ignore={file}" for file in ENGINE)),
        locks=("test", "zstd"),
        lacks=_lacks_engine,
    ),
    "browser": Suite(
        _pytest("tests/browser"), locks=("test", "embedded", "browser"), lacks=_lacks_browser
    ),
    "deploy": Suite(_pytest(*DEPLOYS, "not three"), locks=("test", "zstd"), lacks=_lacks_engine),
    "cluster": Suite(_pytest(*DEPLOYS, "three"), locks=("test", "zstd"), lacks=_lacks_engine),
    "engine": Suite(_pytest(*ENGINE, DOCKER), lacks=_lacks_engine),
}
