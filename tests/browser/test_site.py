"""The manual as a site: it fits a telephone, its search finds, and it asks no other host."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from docs.tools import website

WIDTH = 390  # of a telephone


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    website.build()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=website.SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def site(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a telephone's size, on which nothing goes wrong and no other host is asked."""
    wrong: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((url, "data:", "blob:")):
            wrong.append(request.url)

    size = {"width": WIDTH, "height": 844}
    with browser.new_context(base_url=url, viewport=size) as context:
        opened = context.new_page()
        opened.on("request", asked)
        opened.on("requestfailed", lambda request: wrong.append(request.url))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        yield opened
        opened.wait_for_load_state()
    assert wrong == []


def test_no_page_scrolls_sideways(site: Page, url: str) -> None:
    names = [str(path.relative_to(website.SITE)) for path in Path(website.SITE).rglob("*.html")]
    assert len(names) > 15
    for name in names:
        answer = site.goto(name, wait_until="networkidle")
        assert answer and answer.ok, name
        assert site.evaluate("document.documentElement.scrollWidth") <= WIDTH, name
        broken = site.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
        assert broken == [], name


def test_search_finds_undo(site: Page) -> None:
    site.set_viewport_size({"width": 1280, "height": 900})
    site.goto("index.html")
    site.get_by_role("button", name="Search").first.click()
    site.keyboard.type("undo")
    expect(site.get_by_role("option", name="inv undo").first).to_be_visible()
