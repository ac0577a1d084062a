"""A company's mirror of Python packages: https with an authority of its own, and a password.

It hands on what the public index answers, to who knows the user and the password.
"""

import base64
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from tls import Authority

UPSTREAM = "https://pypi.org"
USER, PASSWORD = "ann", "m1rror-s3cret/@"
EXTENSIONS = "basicConstraints=CA:FALSE\nsubjectAltName={}\n"


@dataclass
class Mirror:
    """The server: its address, its authority, and the paths that it was asked for."""

    host: str
    port: int
    authority: Authority
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}/simple"

    @property
    def url_with_password(self) -> str:
        return self.url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")

    @property
    def certificate(self) -> Path:
        return self.authority.folder / "ca.pem"


class Handler(BaseHTTPRequestHandler):
    mirror: Mirror
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Basic {self.login}":
            self.answer(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="mirror"'})
            return
        self.mirror.asked.append(self.path)
        base = UPSTREAM if self.path.startswith("/simple/") else ""
        url = f"{base}{self.path}" if base else f"https://files.pythonhosted.org{self.path}"
        with urllib.request.urlopen(url, timeout=60) as found:
            body, kind = found.read(), found.headers["Content-Type"]
        if base:  # its links lead to us
            body = body.replace(b"https://files.pythonhosted.org/", b"/")
        self.answer(200, body, {"Content-Type": kind})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(folder: Path, host: str) -> Iterator[Mirror]:
    """A mirror at this address of the machine."""
    authority = Authority.made_in(folder / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(authority, f"IP:{host}"))
    mirror = Mirror(host, 0, authority)
    handler = type("Handler", (Handler,), {"mirror": mirror})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        mirror.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield mirror
        server.shutdown()


def certificate(authority: Authority, name: str) -> tuple[Path, Path]:
    """A certificate of a server alone, as strict clients ask for, and its key."""
    folder = authority.folder
    (folder / "extensions").write_text(EXTENSIONS.format(name))
    asked = ["req", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=mirror"]
    openssl(folder, *asked, "-keyout", "server.key", "-out", "server.csr")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "extensions", "-days", "2"]
    openssl(folder, "x509", "-req", "-in", "server.csr", *signed, "-out", "mirror.pem")
    return folder / "mirror.pem", folder / "server.key"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
