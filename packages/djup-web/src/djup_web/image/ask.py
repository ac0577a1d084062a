"""Ask this container's own web for a path: exit 0 if it answers with 200, else say what came.

The health checks' own client, a copy of which they run without site-packages: a check has to be
quick, and no project can break it. Every image of Python has what it needs; it knows no proxy.
"""

import socket
import sys

SECONDS = 3
SHOWN = 500
REQUEST = "GET /{} HTTP/1.0\r\nHost: 127.0.0.1:8000\r\n\r\n"


def ask(path: str) -> bytes:
    """The whole answer: HTTP/1.0 ends it by closing the connection."""
    with socket.create_connection(("127.0.0.1", 8000), SECONDS) as connection:
        connection.sendall(REQUEST.format(path).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def main(path: str) -> None:
    try:
        answer = ask(path)
    except OSError as error:
        sys.exit(f"http://127.0.0.1:8000/{path}: {error}")
    head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
    status = head.partition("\r\n")[0]
    if status.split()[1:2] != ["200"]:
        sys.exit(f"http://127.0.0.1:8000/{path}: {status or 'no answer'}\n{body[:SHOWN]}".rstrip())


if __name__ == "__main__":
    main(*sys.argv[1:])
