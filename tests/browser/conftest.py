"""A real browser on a real stack, on each runtime that this machine can run."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from policy import VIOLATIONS, refused
from stacks import Checkout, Docker, Embedded, maker

from djup.docker import engine

RUNTIMES = [Embedded(), *([Docker()] if engine.answers() else [])]
# What Chromium would ask of hosts of its maker's, which a closed network refuses.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def broken(request: Request) -> list[str]:
    """The URL of a request that failed, unless the page that asked was left meanwhile."""
    return [] if request.failure == "net::ERR_ABORTED" else [request.url]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        expect.set_options(timeout=30_000)
        launched = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*QUIET, *sandbox]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module", params=RUNTIMES, ids=lambda runtime: runtime.name)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    with maker(tmp_path_factory.mktemp) as make:
        made = make(request.param, name="pages")
        made.inv("up")
        yield made


@pytest.fixture
def page(browser: Browser, stack: Checkout) -> Iterator[Page]:
    """A page of the stack, whose errors fail the test."""
    errors: list[str] = []
    with browser.new_context(base_url=stack.url) as context:
        opened = context.new_page()
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("requestfailed", lambda request: errors.extend(broken(request)))
        opened.add_init_script(VIOLATIONS)
        opened.on("console", lambda message: errors.extend(refused(message)))
        yield opened
        opened.wait_for_load_state()  # what is broken off by the end would count as failed
    assert errors == []
