"""`inv test`: every suite that this machine can run, and why it could not run the others."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ops import console, docker, env, packages, problems, process
from ops.problems import Problem
from ops.process import ChildFailed

PYTHON = ".venv/bin/python"
DATABASE_SECONDS = 60


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
    with throwaway_database() as variables:
        return process.attach(argv, env=os.environ | variables)


@contextmanager
def throwaway_database() -> Iterator[dict[str, str]]:
    """A PostgreSQL in memory, on a port of its own; gives the SQL_ variables that lead to it."""
    name, password = f"throwaway-{secrets.token_hex(4)}", secrets.token_hex(16)
    image = env.load().values["POSTGRES_IMAGE"]
    options = ["--rm", "--detach", "--name", name, "--env", "POSTGRES_PASSWORD"]
    mounts = ["--tmpfs", "/var/lib/postgresql", "--publish", "127.0.0.1::5432"]
    argv = ["docker", "run", *options, *mounts, image, "-c", "fsync=off"]
    code = process.attach(argv, env=os.environ | {"POSTGRES_PASSWORD": password}, progress=True)
    if code:
        raise ChildFailed(code)
    try:
        yield _variables(name, password)
    finally:
        process.run(["docker", "rm", "--force", "--volumes", name])


def _variables(container: str, password: str) -> dict[str, str]:
    _wait_until_it_answers(container)
    return {
        "DEBUG": "1",
        "SECRET_KEY": "",
        "ALLOWED_HOSTS": "",
        "SQL_ENGINE": "django.db.backends.postgresql",
        "SQL_DATABASE": "postgres",
        "SQL_USER": "postgres",
        "SQL_PASSWORD": password,
        "SQL_HOST": "127.0.0.1",
        "SQL_PORT": docker.ask("port", container, "5432/tcp").split(":")[-1].strip(),
    }


def _wait_until_it_answers(container: str) -> None:
    # Over TCP: the server that initialises the data listens on its socket alone.
    question = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "select 1"]
    deadline = time.monotonic() + DATABASE_SECONDS
    while process.run(["docker", "exec", container, *question]).code:
        if time.monotonic() > deadline:
            raise problems.docker_failed("docker run", "its PostgreSQL does not answer")
        time.sleep(0.1)


SUITES = {
    suite.name: suite
    for suite in (
        Suite("unit", _pytest("tests/unit"), needs_engine=False),
        Suite("cli", _pytest("tests/cli"), needs_engine=False),
        Suite("app", _app, needs_engine=True),
        Suite("runtimes", _pytest("tests/runtimes"), needs_engine=True),
    )
}
