"""A server on a Unix socket that answers as an engine does, from a table."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

Answers = Mapping[str, tuple[int, Any]]  # status and body by path; text is sent as it is
UNKNOWN = (404, {"message": "no such object"})


@contextmanager
def engine_at(path: Path, answers: Answers) -> Iterator[list[str]]:
    """It serves on this socket while the block runs; gives the paths that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answers.get(self.path.partition("?")[0], UNKNOWN)
            self.send_response(status)
            self.end_headers()
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield asked
        server.shutdown()
