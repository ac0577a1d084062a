"""The pages that a new version is asked for before it gets visitors."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from releases import release, settings

from djup.deploy import ask_pages, pages
from djup.deploy.pages import Check
from djup.deploy.swarm import swarm_stack
from djup.deploy.swarm.swarm import Swarm
from djup.problems import Problem

HOST = "shop.example.org:8443"
SWARM = Swarm((), "here")


class Site(BaseHTTPRequestHandler):
    """What it answers is told by the path; `seen` are the headers of each request."""

    seen: ClassVar[list[dict[str, str]]] = []
    answers: ClassVar[dict[str, list[tuple[int, str]]]] = {}

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        left = self.answers[self.path]
        status, leads = left.pop(0) if len(left) > 1 else left[0]
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        if leads:
            self.send_header("Location", leads)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives answers to paths, and what the script makes of them."""
    monkeypatch.setattr(ask_pages, "PAUSE_SECONDS", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    asked = {"host": HOST, "address": "127.0.0.1", "port": server.server_port, "tls": False}

    def visit(path: str, **answers: list[tuple[int, str]]) -> str:
        Site.seen = []
        Site.answers = {f"/{name.removeprefix('root')}": found for name, found in answers.items()}
        return ask_pages.patiently(asked, path)

    yield visit
    server.shutdown()
    server.server_close()


def test_a_page_is_asked_for_as_the_proxy_does(served: Any) -> None:
    assert served("/", root=[(200, "")]) == "200"
    (seen,) = Site.seen
    assert seen["Host"] == HOST and seen["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"root": [(302, "/en?a=1")], "en?a=1": [(500, "")]}, "500 (at /en?a=1)"),
        ({"root": [(302, f"https://{HOST}/en")], "en": [(200, "")]}, "200 (at /en)"),
        ({"root": [(302, "https://login.example.org/")]}, "302"),
        ({"root": [(302, "/")]}, "302"),
        ({"root": [(304, "")]}, "304"),
        ({"root": [(404, "")]}, "404"),
        ({"root": [(503, ""), (200, "")]}, "200"),
        ({"root": [(0, ""), (0, ""), (200, "")]}, "200"),
        ({"root": [(503, "")]}, "503"),
    ],
)
def test_what_a_visitor_comes_to(served: Any, answers: Any, told: str) -> None:
    assert served("/", **answers) == told
    assert pages.is_well(told) == ask_pages.is_well(told) == (not told.startswith("5"))


def test_who_does_not_answer_answers_badly(served: Any) -> None:
    told = served("/", root=[(0, "")])
    assert told.startswith("no answer (") and not pages.is_well(told)


def judged(before: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_keep_log", lambda name: ("the log", "less log"))
    first = before is None
    Check(("/",), SWARM, before)._judge(release(), {"/": "500"}, first=first)


@pytest.mark.parametrize("before", [None, {"/": "200"}, {"/": "404"}, {"/": "200 (at /en)"}])
def test_a_page_that_was_well_and_fails_ends_the_deploy(
    before: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Problem, match="answers 500 for /"):
        judged(before, monkeypatch)


@pytest.mark.parametrize("before", [{}, {"/": "503"}, {"/": "no answer (OSError: x)"}])
def test_one_that_failed_before_is_named(
    before: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(before, monkeypatch)
    assert "warning: / answers 500, and already failed before" in capsys.readouterr().err


def test_what_is_shown_of_a_log() -> None:
    records = '{"traceback": "one\\ntwo"}\n{"path": "/", "status": 500}'
    assert pages.readable(records) == "one\ntwo"
    assert pages.readable("plain\n[1]\nlast") == "plain\n[1]\nlast"


def test_the_pages_of_env() -> None:
    from djup.deploy import production

    found = production.from_settings(
        settings(DEPLOY_CHECK="/a", PROD_DEPLOY_CHECK="/shop/?q=%C3%A9, / /b")
    )
    assert found.pages == ("/", "/shop/?q=%C3%A9", "/b")
    for wrong in ("shop/", "https://shop.example.org/", "/caf\u00e9"):
        with pytest.raises(Problem, match="DEPLOY_CHECK"):
            production.from_settings(settings(DEPLOY_CHECK=wrong))


def test_it_is_asked_past_the_pooler() -> None:
    pooled = release(POOL_SIZE="20", PROD_SQL_HOST="pg.example.org", PROD_SQL_SSLMODE="require")
    found = pages.straight_to_database(pooled).values
    assert (found["SQL_HOST"], found["SQL_PORT"]) == ("pg.example.org", "5432")
    assert (found["SQL_SSLMODE"], found["SQL_POOLED"]) == ("require", "")


def test_services_of_any_name_and_ports_that_are_one_s_own() -> None:
    text = """version: "3.13"
services:
  my-worker:
    image: a
  web:
    networks:
      front: null
    ports:
      - mode: host
        target: 8000
    read_only: true
networks:
  front: {}
"""
    found = swarm_stack._services(text)
    assert list(found) == ["my-worker", "web"]
    bare = "    networks:\n      front: null\n    read_only: true\n"
    assert swarm_stack.PORTS.sub("", found["web"]) == bare
