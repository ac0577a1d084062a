"""The contract runs on every runtime, the scenarios on their own: `--runtime` takes one alone."""

from collections.abc import Iterator

import pytest
from stacks import Docker, Embedded, Make, Runtime, maker

RUNTIMES = {"docker": Docker(), "embedded": Embedded()}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runtime", choices=RUNTIMES, help="this runtime alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the other runtime: a scenario by its file, the rest by its id."""
    chosen = config.getoption("--runtime")
    others = [name for name in RUNTIMES if chosen and name != chosen]
    items[:] = [item for item in items if not any(other in item.nodeid for other in others)]


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


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Makes checkouts; see `stacks.maker`."""
    with maker(tmp_path_factory.mktemp) as new:
        yield new
