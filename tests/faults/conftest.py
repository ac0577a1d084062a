"""Each fault is made for real, named by its code, and mended by typing what the screen says."""

from collections.abc import Iterator

import pytest
from stacks import Checkout, Make, Runtime


@pytest.fixture(scope="module")
def kept(make: Make, runtime: Runtime) -> Checkout:
    """A stack that is up and holds a row, for all tests of a module."""
    stack = make(runtime, name="kept")
    stack.inv("up")
    stack.keep()
    return stack


@pytest.fixture
def stack(kept: Checkout) -> Iterator[Checkout]:
    """It, up; after the test its .env is what it was, and the row is still there."""
    before = (kept.root / ".env").read_text()
    kept.inv("up")
    yield kept
    kept.write(".env", before)
    kept.inv("up")
    kept.assert_kept()
