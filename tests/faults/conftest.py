"""Each fault is made for real, named by its code, and fixed by running what the screen says."""

from collections.abc import Iterator

import pytest
from sessions import DROP_ASIDE
from stacks import Checkout, Make, Runtime


@pytest.fixture(scope="module")
def make(reachable_make: Make) -> Make:
    """So that embedded data lie in the checkout, whoever runs the tests."""
    return reachable_make


@pytest.fixture(scope="session")
def kept(lasting_make: Make, runtime: Runtime) -> Checkout:
    """A stack that is up and holds a row: each test leaves it as it was."""
    stack = lasting_make(runtime, name="kept")
    stack.inv("up")
    stack.keep()
    return stack


@pytest.fixture
def stack(kept: Checkout) -> Iterator[Checkout]:
    """It, up; after the test its .env is what it was, it is up, and the row is still there."""
    before = (kept.root / ".env").read_text()
    yield kept
    kept.write(".env", before)
    kept.inv("up")
    kept.assert_kept()


@pytest.fixture(scope="module")
def shared(kept: Checkout) -> Checkout:
    """The same for tests that leave it up: it is started once for all of a module."""
    kept.inv("up")
    return kept


@pytest.fixture
def nothing_aside(shared: Checkout) -> Iterator[Checkout]:
    """It, with the row of before; nothing half-made is shown, and nothing lent stays."""
    yield shared
    shared.script(DROP_ASIDE)
    assert shared.get("readyz")[0] == 200
    left = "select text, (select count(*) from pg_roles where rolname = 'gate') from kept"
    assert shared.sql(left) == "kept|0"
