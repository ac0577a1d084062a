"""Suites of tests, in rounds: what runs beside what, how far it is, and why one cannot run."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from djup import HERE
from djup.host import packages, process
from djup.host.packages import InstallFailed
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.terminal import console
from djup.terminal.task import this_task

PYTHON = ".venv/bin/python"
FAILED_ONES = ("--last-failed", "--last-failed-no-failures=none")
GIVES_WAY = ("nice", "-n", "5")
BESIDE_PORT = 19000  # from here on, so that two that look for a free one do not find the same
PORTS_OF_ONE = 1000


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


@dataclass(frozen=True)
class Round:
    """Suites that run one after the other, and long ones that run beside them, all at once."""

    suites: Sequence[str]
    beside: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """Name them all, those beside the others last."""
        return [*self.suites, *self.beside]


@dataclass
class Course:
    """The suites of one `inv test`: which it runs, what keeps the others from running, and how far
    it is."""

    suites: Mapping[str, Suite]
    rounds: Sequence[Round]
    arguments: Sequence[str]
    retries: bool = False
    obstacles: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        # All at first: nothing is installed while a suite runs.
        names = [name for one in self.rounds for name in one.names]
        self.obstacles = {name: _obstacle(self.suites[name]) for name in names}

    def announce(self) -> None:
        """Say which suites come, and about how long each takes."""
        rows = [
            (
                name,
                f"not run: {reason}" if reason else f"about {_minutes(self.suites[name].seconds)}",
            )
            for name, reason in self.obstacles.items()
        ]
        console.say(console.table(("SUITE", "ON TWO PROCESSORS"), rows))
        console.say(f"about {_minutes(self._seconds())}\n")

    def run(self) -> dict[str, str]:
        """Run them all; the outcome of each in words."""
        for one in self.rounds:
            self._round(one)
        if self.retries:
            for name in self.outcomes:
                self._retry(name)
        return self.outcomes

    def _round(self, one: Round) -> None:
        beside = self._beside(one)
        with ExitStack() as running:
            finishes = {name: running.enter_context(self._started(name)) for name in beside}
            for name in one.names:
                if name not in beside:
                    self._one(name, gives_way=bool(beside))
            for name, finish in finishes.items():
                self._say_where(name, ", until it ends")
                self.outcomes[name] = _worded(finish())

    def _beside(self, one: Round) -> Sequence[str]:
        """The suites that run beside others: none under --dry, nor where there are no others."""
        possible = [name for name in one.names if not self.obstacles[name]]
        many = len(possible) > 1 and not this_task.dry
        return [name for name in one.beside if name in possible] if many else []

    def _started(self, name: str) -> AbstractContextManager[Callable[[], int]]:
        """A suite that runs beside the others, on ports of its own."""
        self._say_where(name, ", alongside the next ones; its output is printed at its end")
        port = BESIDE_PORT + PORTS_OF_ONE * list(self.obstacles).index(name)
        argv = [*self._runner(name), *self.arguments]
        return process.beside(argv, env={**os.environ, "FIRST_PORT": str(port)})

    def _one(self, name: str, *, gives_way: bool) -> None:
        if reason := self.obstacles[name]:
            self.outcomes[name] = f"not run: {reason}"
            return
        self._say_where(name)
        self.outcomes[name] = _worded(self._code(name, gives_way=gives_way))

    def _retry(self, name: str) -> None:
        """Run the tests that failed once more, with nothing beside them: a machine that was too
        busy says nothing about the code. The outcome still names the suite as unsteady.

        Django's runner does not remember which failed: it runs all of them."""
        if self.outcomes[name].startswith("FAILED"):
            self._say_where(name, ", its failed tests again")
            if self._code(name, *(FAILED_ONES if self._is_pytest(name) else ())) == 0:
                self.outcomes[name] = "passed, some tests only on the second run"

    def _code(self, name: str, *options: str, gives_way: bool = False) -> int:
        """Run a suite, and give its exit code; one that gives way leaves the processors to the
        longer ones beside it."""
        argv = [*(GIVES_WAY if gives_way else ()), *self._runner(name), *options]
        code = self.suites[name].run(argv, self.arguments)
        if this_task.interrupted:
            raise KeyboardInterrupt
        return code

    def _runner(self, name: str) -> Sequence[str]:
        """The command of a suite; which of its tests failed is remembered for it alone."""
        remembers = ("-o", f"cache_dir=.pytest_cache/{name}")
        return [
            *self.suites[name].argv,
            *(remembers if self.retries and self._is_pytest(name) else ()),
        ]

    def _is_pytest(self, name: str) -> bool:
        return "pytest" in self.suites[name].argv

    def _say_where(self, name: str, how: str = "") -> None:
        names = list(self.obstacles)
        where = f"suite {names.index(name) + 1} of {len(names)}: {name}"
        about, now = _minutes(self.suites[name].seconds), _minutes(time.monotonic() - self.began)
        console.say(f"{where}, about {about}{how}; {now} of about {_minutes(self._seconds())}")

    def _seconds(self) -> int:
        return sum(self._seconds_of(one) for one in self.rounds)

    def _seconds_of(self, one: Round) -> int:
        beside = self._beside(one)
        alone = [name for name in one.names if name not in beside and not self.obstacles[name]]
        return max(
            sum(self.suites[n].seconds for n in alone), *(self.suites[n].seconds for n in beside), 0
        )


def run(course: Course, *, strict: bool) -> None:
    """Run a course and show what came of it; a suite that cannot run is a failure if `strict`."""
    if len(course.obstacles) > 1:
        course.announce()
    outcomes = course.run()
    if this_task.dry:
        return
    console.say("\n" + console.table(("SUITE", "OUTCOME"), list(outcomes.items())))
    failures = ("FAILED", "not run") if strict else ("FAILED",)
    if any(outcome.startswith(failures) for outcome in outcomes.values()):
        raise ChildFailed(1)


def named(name: str, suites: Mapping[str, Suite]) -> Sequence[Round]:
    """Give the round of one suite alone, or raise where none has this name."""
    if name not in suites:
        raise problem("TASK05", suite=repr(name), known=", ".join(suites))
    return (Round((name,)),)


def _minutes(seconds: float) -> str:
    return f"{round(seconds / 60)} min" if seconds >= 90 else f"{round(seconds)} s"


def _obstacle(suite: Suite) -> str:
    """Why it cannot run here; '' if it can."""
    return suite.lacks() or _cannot_install(suite.locks)


def _worded(code: int) -> str:
    return f"FAILED (exit code {code})" if code else "passed"


def _cannot_install(locks: Sequence[str]) -> str:
    try:
        packages.ensure(*locks)
    except InstallFailed as failed:
        return f"{HERE}/{locks[-1]}.txt cannot be installed here: {failed}"
    return ""


def pytest(*options: str) -> Sequence[str]:
    """Give the command of pytest, in the .venv of this checkout."""
    return [PYTHON, "-m", "pytest", *options]
