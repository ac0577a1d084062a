"""A GET of a server on this machine, as HTTP/1.0 has it: every server ends its answer then by
closing the connection. http.client does more, and takes 50 ms to load: a third of a task."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

LONGEST = 65536  # bytes of a line, as in http.client


@dataclass(frozen=True)
class Answer:
    """Status, headers by their names in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(port: int, path: str, timeout: float, *, head: bool = False) -> Answer:
    """What 127.0.0.1:`port` answers; with `head` its body stays unread. `timeout` in seconds is for
    each step. OSError where nothing answers, ValueError where what answers is not HTTP."""
    with socket.socket() as connection:  # create_connection would load what IDNA needs
        connection.settimeout(timeout)
        connection.connect(("127.0.0.1", port))
        return _asked(connection, f"127.0.0.1:{port}", path, head)


def get_from_socket(socket_path: str, path: str, timeout: float) -> Answer:
    """What answers on a Unix socket; `timeout` and errors as with `get`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(socket_path)
        return _asked(connection, "localhost", path, head=False)


def _asked(connection: socket.socket, host: str, path: str, head: bool) -> Answer:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("ascii"))
    with connection.makefile("rb") as answer:
        status = _status(answer.readline(LONGEST).decode("latin-1"))
        headers = _headers(answer)
        return Answer(status, headers, b"" if head else answer.read())


def _status(line: str) -> int:
    if not line:
        raise ConnectionResetError("the connection was closed without an answer")
    version, _, status = line.strip().partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError(f"{version} is not HTTP")
    return int(status[:3])


def _headers(answer: BinaryIO) -> dict[str, str]:
    headers = {}
    while line := answer.readline(LONGEST).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers
