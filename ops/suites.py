"""`inv test`: every suite that this machine can run, and why it could not run the others."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ops import console, docker, packages, problems, process
from ops.problems import Problem
from ops.process import ChildFailed

PYTHON = ".venv/bin/python"


@dataclass(frozen=True)
class Suite:
    """Tests that need the same things: `run` gives an exit code, `needs_engine` a Docker engine."""

    name: str
    run: Callable[[Sequence[str]], int]
    needs_engine: bool


def run(only: str, strict: bool, arguments: Sequence[str]) -> None:
    """Run the suites, or the one named `only`; `arguments` go to its runner."""
    if only and only not in SUITES:
        raise problems.unknown_suite(only, SUITES)
    packages.ensure("test")
    lacking = _engine_problem()
    outcomes = []
    for suite in [SUITES[only]] if only else SUITES.values():
        if suite.needs_engine and lacking:
            outcomes.append((suite.name, f"not run: {lacking.what} {lacking.mend}"))
        else:
            code = suite.run(arguments)
            outcomes.append((suite.name, "passed" if code == 0 else f"FAILED (exit code {code})"))
    console.say("\n" + console.table(("SUITE", "OUTCOME"), outcomes))
    failing = ("FAILED", "not run") if strict or only else ("FAILED",)
    if any(outcome.startswith(failing) for _, outcome in outcomes):
        raise ChildFailed(1)


def _engine_problem() -> Problem | None:
    try:
        docker.ask("version", "--format", "{{.Server.Version}}")
    except Problem as problem:
        return problem
    return None


def _pytest(folder: str) -> Callable[[Sequence[str]], int]:
    return lambda arguments: process.attach([PYTHON, "-m", "pytest", folder, *arguments])


def _app(arguments: Sequence[str]) -> int:
    argv = [PYTHON, "project/manage.py", "test", "project", *arguments]
    if process.mode.dry:
        return process.attach(argv)
    packages.ensure("embedded")
    from ops import postgres

    with postgres.throwaway() as server:
        return process.attach(argv, env=os.environ | _django_variables(server))


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
    }


SUITES = {
    suite.name: suite
    for suite in (
        Suite("unit", _pytest("tests/unit"), needs_engine=False),
        Suite("cli", _pytest("tests/cli"), needs_engine=False),
        Suite("app", _app, needs_engine=False),
        Suite("runtimes", _pytest("tests/runtimes"), needs_engine=True),
    )
}
