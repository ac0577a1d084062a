"""For all suites: `djup` and `tasks` come from this checkout, wherever pytest is called.

For those on real stacks: the runtimes. The contract and the faults run on every runtime, scenarios
on their own; `--runtime` takes one alone. `--made` runs them in projects that `djup new` makes from
the wheels, instead of in copies of this tree: all on the embedded runtime, and on Docker those that
are marked `image`, or all with `--runtime=docker`.
"""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("", "packages/djup/src", "packages/djup/tests/tools", "tests/tools")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

import checkout  # noqa: E402
import from_wheels  # noqa: E402
from stacks import RUNTIMES, Docker, Embedded, Make, Runtime, Write, maker  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runtime", choices=RUNTIMES, help="this runtime alone")
    parser.addoption("--made", action="store_true", help="in projects made from the wheels")


def pytest_configure(config: pytest.Config) -> None:
    # Begun in the background of a script, a runner ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "fault(code, *runtimes): makes this problem for real")
    config.addinivalue_line("markers", "runtime(name): exists on this one alone")
    config.addinivalue_line("markers", "made: is about projects made from the wheels")
    config.addinivalue_line("markers", "image: can differ where the image has the wheel")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the other runtime: by its mark, its parameter, or the runtime that
    it asks for."""
    chosen = config.getoption("--runtime")
    others = [name for name in RUNTIMES if chosen and name != chosen]
    items[:] = [
        item
        for item in items
        if _applies(item, chosen)
        and _is_for(item, chosen, in_made=bool(config.getoption("--made")))
        and not any(_belongs_to(item, other) for other in others)
    ]


def _is_for(item: pytest.Item, chosen: str | None, *, in_made: bool) -> bool:
    """Whether a test is one for copies of this tree, or for made projects."""
    if not in_made:
        return not item.get_closest_marker("made")
    everything = chosen or _parameter(item) != "docker"
    return bool(everything or item.get_closest_marker("image"))


def _belongs_to(item: pytest.Item, runtime: str) -> bool:
    asks = f"{runtime}_runtime" in getattr(item, "fixturenames", ())
    return runtime in _marked(item) or asks or _parameter(item) == runtime


def _marked(item: pytest.Item) -> list[str]:
    return [mark.args[0] for mark in item.iter_markers("runtime")]


def _parameter(item: pytest.Item) -> str:
    """The runtime that is a parameter of the test; '' if none is."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return str(params["runtime"].name) if "runtime" in params else ""


def _applies(item: pytest.Item, chosen: str | None) -> bool:
    """Whether a test, or its fault, exists on the runtime that it is about to be run on."""
    name = _parameter(item) or chosen
    if name and any(name != marked for marked in _marked(item)):
        return False
    marks = list(item.iter_markers("fault"))
    return not (name and marks) or any(name in mark.args[1:] for mark in marks)


@pytest.fixture(scope="session", params=RUNTIMES.values(), ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    request.param.require()
    return request.param


@pytest.fixture(scope="session")
def docker_runtime() -> Docker:
    RUNTIMES["docker"].require()
    return RUNTIMES["docker"]


@pytest.fixture(scope="session")
def embedded_runtime() -> Embedded:
    return RUNTIMES["embedded"]


@pytest.fixture(scope="session")
def write(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes a checkout: a copy of this tree or, with `--made`, a project that has the wheels."""
    if not request.config.getoption("--made"):
        return checkout.lent
    return from_wheels.writer(from_wheels.build(tmp_path_factory.mktemp("wheels"))["djup"])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, write: Write) -> Iterator[Make]:
    """Makes checkouts; see `stacks.maker`."""
    with maker(tmp_path_factory.mktemp, write) as new:
        yield new


@pytest.fixture(scope="module")
def reachable_make(write: Write) -> Iterator[Make]:
    """The same in folders that every account can enter, unlike pytest's own."""
    with _reachable(write) as new:
        yield new


@pytest.fixture(scope="session")
def lasting_make(write: Write) -> Iterator[Make]:
    """The same for as long as the tests last."""
    with _reachable(write) as new:
        yield new


@contextmanager
def _reachable(write: Write) -> Iterator[Make]:
    with tempfile.TemporaryDirectory(prefix="checkouts-") as base:
        Path(base).chmod(0o755)

        def folder(name: str) -> Path:
            made = Path(tempfile.mkdtemp(prefix=name, dir=base))
            made.chmod(0o755)
            return made

        with maker(folder, write) as new:
            yield new
