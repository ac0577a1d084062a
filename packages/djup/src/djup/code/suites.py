"""`inv test`: every suite that this machine can run, and why it could not run the others."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from djup import PROJECT, SOURCES
from djup.docker import engine
from djup.host import packages, process
from djup.host.packages import InstallFailed
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.terminal import console
from djup.terminal.task import this_task

PYTHON = ".venv/bin/python"


def attach(argv: Sequence[str], arguments: Sequence[str]) -> int:
    """Run a suite on our own terminal."""
    return process.attach([*argv, *arguments])


@dataclass(frozen=True)
class Suite:
    """Tests that need the same things.

    `run` takes the runner's `argv` and its arguments and gives its exit code; `lacks` says what
    this machine has not, '' if nothing; `locks` are the requirements that are installed first.
    `seconds` is about what it takes on two processors, beside what runs beside it.
    """

    argv: Sequence[str]
    seconds: int
    run: Callable[[Sequence[str], Sequence[str]], int] = attach
    locks: tuple[str, ...] = ("test",)
    lacks: Callable[[], str] = str


@dataclass
class Course:
    """The suites of one `inv test`: which it runs, what keeps the others from running, and how far
    it is."""

    rounds: Mapping[str, Sequence[str]]
    arguments: Sequence[str]
    retries: bool = False
    obstacles: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        # All at first: nothing is installed while a suite runs.
        names = [name for longest, others in self.rounds.items() for name in (*others, longest)]
        self.obstacles = {name: _obstacle(SUITES[name]) for name in names}

    def announce(self) -> None:
        """Say which suites come, and about how long each takes."""
        rows = [
            (name, f"not run: {reason}" if reason else f"about {_minutes(SUITES[name].seconds)}")
            for name, reason in self.obstacles.items()
        ]
        console.say(console.table(("SUITE", "ON TWO PROCESSORS"), rows))
        console.say(f"about {_minutes(self._seconds())}\n")

    def run(self) -> dict[str, str]:
        """Run them all; the outcome of each in words."""
        for longest, others in self.rounds.items():
            self._round(longest, others)
        if self.retries:
            for name in self.outcomes:
                self._retry(name)
        return self.outcomes

    def _round(self, longest: str, others: Sequence[str]) -> None:
        """Some suites one after the other, and the longest, which mostly waits, beside them."""
        if not self._has_beside(longest, others):
            for name in (*others, longest):
                self._one(name)
            return
        self._say_where(longest, ", alongside the next ones; its output is printed at its end")
        argv = [*self._runner(longest), *self.arguments]
        with process.beside(argv, env={**os.environ, "FIRST_PORT": BESIDE_PORT}) as finish:
            for name in others:
                self._one(name)
            self._say_where(longest, ", until it ends")
            self.outcomes[longest] = _worded(finish())

    def _one(self, name: str) -> None:
        if reason := self.obstacles[name]:
            self.outcomes[name] = f"not run: {reason}"
            return
        self._say_where(name)
        self.outcomes[name] = _worded(self._code(name))

    def _retry(self, name: str) -> None:
        """Run the tests that failed once more, with nothing beside them: a machine that was too
        busy says nothing about the code. The outcome still names the suite as unsteady."""
        if self.outcomes[name].startswith("FAILED") and _is_pytest(name):
            self._say_where(name, ", its failed tests again")
            if self._code(name, "--last-failed", "--last-failed-no-failures=none") == 0:
                self.outcomes[name] = "passed, some tests only on the second run"

    def _code(self, name: str, *options: str) -> int:
        """Run a suite, and give its exit code."""
        code = SUITES[name].run([*self._runner(name), *options], self.arguments)
        if this_task.interrupted:
            raise KeyboardInterrupt
        return code

    def _runner(self, name: str) -> Sequence[str]:
        """The command of a suite; which of its tests failed is remembered for it alone."""
        remembers = ("-o", f"cache_dir=.pytest_cache/{name}")
        return [*SUITES[name].argv, *(remembers if self.retries and _is_pytest(name) else ())]

    def _say_where(self, name: str, how: str = "") -> None:
        names = list(self.obstacles)
        where = f"suite {names.index(name) + 1} of {len(names)}: {name}"
        about, now = _minutes(SUITES[name].seconds), _minutes(time.monotonic() - self.began)
        console.say(f"{where}, about {about}{how}; {now} of about {_minutes(self._seconds())}")

    def _has_beside(self, longest: str, others: Sequence[str]) -> bool:
        return bool(others) and not self.obstacles[longest] and not this_task.dry

    def _seconds(self) -> int:
        return sum(self._seconds_of(longest, others) for longest, others in self.rounds.items())

    def _seconds_of(self, longest: str, others: Sequence[str]) -> int:
        longer, rest = (
            sum(SUITES[name].seconds for name in names if not self.obstacles[name])
            for names in ((longest,), others)
        )
        return max(longer, rest) if self._has_beside(longest, others) else longer + rest


def run(
    only: str, strict: bool, arguments: Sequence[str], quick: bool = False, retry: bool = False
) -> None:
    """Run the suites, those that are quick, or the one named `only`; one that cannot run is a
    failure if `strict` or named. With `retry`, tests that fail run once more at the end."""
    if only and only not in SUITES:
        raise problem("TASK05", suite=repr(only), known=", ".join(SUITES))
    course = Course({only: ()} if only else QUICK if quick else ROUNDS, arguments, retry)
    if not only:
        course.announce()
    outcomes = course.run()
    if this_task.dry:
        return
    console.say("\n" + console.table(("SUITE", "OUTCOME"), list(outcomes.items())))
    failures = ("FAILED", "not run") if strict or only else ("FAILED",)
    if any(outcome.startswith(failures) for outcome in outcomes.values()):
        raise ChildFailed(1)


def _minutes(seconds: float) -> str:
    return f"{round(seconds / 60)} min" if seconds >= 90 else f"{round(seconds)} s"


def _obstacle(suite: Suite) -> str:
    """Why it cannot run here; '' if it can."""
    return suite.lacks() or _cannot_install(suite.locks)


def _is_pytest(name: str) -> bool:
    return "pytest" in SUITES[name].argv


def _worded(code: int) -> str:
    return f"FAILED (exit code {code})" if code else "passed"


def _cannot_install(locks: Sequence[str]) -> str:
    try:
        packages.ensure(*locks)
    except InstallFailed as failed:
        return f"requirements/{locks[-1]}.txt cannot be installed here: {failed}"
    return ""


def _lacks_engine() -> str:
    return "" if engine.answers() else str(engine.diagnose("docker version").what)


def _lacks_browser() -> str:
    return "" if shutil.which("chromium") else "no Chromium; run: sudo apt-get install chromium"


def _pytest(*options: str) -> Sequence[str]:
    return [PYTHON, "-m", "pytest", *options]


def _on_a_server(runner: Sequence[str], arguments: Sequence[str]) -> int:
    argv = [*runner, *arguments]
    if this_task.dry:
        return process.attach(argv, cwd=PROJECT)
    from djup.postgres import local_server

    with local_server.throwaway() as server:
        environment = local_server.clean_environment() | django_variables(server)
        return process.attach(argv, cwd=PROJECT, env=environment)


def django_variables(server: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that lead Django's tests to this server, and to no database of the
    user's."""
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
    "faults": ("unit", "cli", "web", "app", "embedded", "docker", "browser"),
    "cluster": ("deploy",),
    "engine": (),
}
QUICK = {"cli": ("unit", "web", "app")}  # no engine, and no stack
BESIDE_PORT = "19000"  # from here on, so that two that look for a free one do not find the same
DEPLOYS = ("tests/cluster", "-k")  # by the site: on three nodes, or on one
STACKS = ("tests/runtimes", "tests/faults")
# What is done to an engine itself, that of all stacks or one of the tests' own.
ENGINE = ("tests/faults/test_docker_killed.py", "tests/faults/test_own_engine.py")
DOCKER = "--runtime=docker"
# On every processor: many short tests, each with a checkout and ports of its own.
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
DJANGO = (str(packages.PYTHON), "manage.py", "test")
SUITES = {
    "unit": Suite(_pytest("packages/djup/tests/unit", *PARALLEL), seconds=20),
    "cli": Suite(
        _pytest("packages/djup/tests/cli", *PARALLEL), seconds=60, locks=("test", "build")
    ),
    "web": Suite(
        [
            *DJANGO,
            "--top-level-directory",
            str(SOURCES / "djup-web"),
            str(SOURCES / "djup-web/tests"),
        ],
        seconds=35,
        run=_on_a_server,
        locks=("embedded",),
    ),
    "app": Suite(DJANGO, seconds=8, run=_on_a_server, locks=("embedded",)),
    "embedded": Suite(
        _pytest(*STACKS, "--runtime=embedded"),
        seconds=755,
        locks=("test", "build", "zstd", "embedded"),
    ),
    "docker": Suite(
        _pytest("tests/runtimes", DOCKER), seconds=480, locks=("test", "build"), lacks=_lacks_engine
    ),
    "faults": Suite(
        _pytest("tests/faults", DOCKER, *(f"--ignore={file}" for file in ENGINE)),
        seconds=1290,
        locks=("test", "zstd"),
        lacks=_lacks_engine,
    ),
    "browser": Suite(
        _pytest("tests/browser"),
        seconds=30,
        locks=("test", "embedded", "browser"),
        lacks=_lacks_browser,
    ),
    "deploy": Suite(
        _pytest(*DEPLOYS, "not three"), seconds=1700, locks=("test", "zstd"), lacks=_lacks_engine
    ),
    "cluster": Suite(
        _pytest(*DEPLOYS, "three"), seconds=1320, locks=("test", "zstd"), lacks=_lacks_engine
    ),
    "engine": Suite(_pytest(*ENGINE, DOCKER), seconds=125, lacks=_lacks_engine),
}
