"""What a server on this machine answers: real servers of several kinds, and what is none."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from djup.host import http

BODY = b"caf\xc3\xa9 " * 50_000


class Page(BaseHTTPRequestHandler):
    """A page of 300 kB, an error, and one that keeps its connection open as long as it may."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.headers["Host"] == f"127.0.0.1:{self.server.server_port}"
        if self.path == "/gone":
            self.send_error(503, "Not now")
            return
        self.send_response(200)
        self.send_header("X-Word", "a:b")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def says(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that answers the first who asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1000)
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_page(port: int) -> None:
    answer = http.get(port, "/", 5)
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["x-word"] == "a:b"


def test_its_head_alone(port: int) -> None:
    assert http.get(port, "/", 5, head=True).body == b""


def test_an_error(port: int) -> None:
    assert http.get(port, "/gone", 5).status == 503


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        http.get(free, "/", 5)


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff\x00\r\n", b"HTTP/1.1 x y"])
def test_what_is_not_http(said: bytes) -> None:
    with says(lambda connection: connection.sendall(said)) as port, pytest.raises(ValueError):
        http.get(port, "/", 5)


def test_one_that_closes_without_an_answer() -> None:
    """As a web does whose code does not compile: it accepts, and ends."""
    with says(lambda _: None) as port, pytest.raises(ConnectionResetError, match="without an ans"):
        http.get(port, "/", 5)


def test_one_that_accepts_and_is_silent() -> None:
    with says(lambda _: time.sleep(2)) as port, pytest.raises(TimeoutError):
        http.get(port, "/", 0.3)
