"""`inv test`: every suite that this machine can run, and why it could not run the others."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ops import ROOT, console, docker, packages, problems, process
from ops.packages import InstallFailed
from ops.process import ChildFailed

PYTHON = ".venv/bin/python"
PROJECT = ROOT / "project"


@dataclass(frozen=True)
class Suite:
    """Tests that need the same things.

    `run` takes the runner's arguments and gives its exit code; `lacks` says what this machine has
    not, '' if nothing; `locks` are the requirements that are installed first.
    """

    run: Callable[[Sequence[str]], int]
    locks: tuple[str, ...] = ("test",)
    lacks: Callable[[], str] = str


def run(only: str, strict: bool, arguments: Sequence[str]) -> None:
    """Run the suites, or the one named `only`; one that cannot run fails if `strict` or named."""
    if only and only not in SUITES:
        raise problems.unknown_suite(only, SUITES)
    outcomes = {name: _outcome(SUITES[name], arguments) for name in ([only] if only else SUITES)}
    console.say("\n" + console.table(("SUITE", "OUTCOME"), list(outcomes.items())))
    failures = ("FAILED", "not run") if strict or only else ("FAILED",)
    if any(outcome.startswith(failures) for outcome in outcomes.values()):
        raise ChildFailed(1)


def _outcome(suite: Suite, arguments: Sequence[str]) -> str:
    if reason := suite.lacks() or _cannot_install(suite.locks):
        return f"not run: {reason}"
    code = suite.run(arguments)
    if process.mode.interrupted:
        raise KeyboardInterrupt
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


def _pytest(*options: str) -> Callable[[Sequence[str]], int]:
    argv = [PYTHON, "-m", "pytest", *options]
    return lambda arguments: process.attach([*argv, *arguments])


def _app(arguments: Sequence[str]) -> int:
    argv = [str(packages.PYTHON), "manage.py", "test", *arguments]
    if process.mode.dry:
        return process.attach(argv, cwd=PROJECT)
    from ops import postgres

    with postgres.throwaway() as server:
        return process.attach(
            argv, cwd=PROJECT, env=postgres.clean_environment() | _django_variables(server)
        )


def _django_variables(server: Mapping[str, str]) -> dict[str, str]:
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


STACKS = ("tests/runtimes", "tests/faults")
SUITES = {
    "unit": Suite(_pytest("tests/unit")),
    "cli": Suite(_pytest("tests/cli"), locks=("test", "build")),
    "app": Suite(_app, locks=("embedded",)),
    "embedded": Suite(_pytest(*STACKS, "--runtime=embedded"), locks=("test", "embedded")),
    "docker": Suite(_pytest(*STACKS, "--runtime=docker"), lacks=_lacks_engine),
    "browser": Suite(
        _pytest("tests/browser"), locks=("test", "embedded", "browser"), lacks=_lacks_browser
    ),
}
