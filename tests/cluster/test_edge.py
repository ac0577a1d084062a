"""The proxy by itself: compose/caddy/Caddyfile before containers that say what they were sent."""

import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machine import needs_root
from stacks import cut_off, docker, eventually
from tls import Authority

from djup import ROOT
from djup.host import ports

NAME, OTHER = NAMES = ("shop.example.org", "www.example.org")
TRIAL = "localhost"
HERE = "127.0.0.1"
# An authority that gives certificates to those who answer for a name, as those of the world do.
AUTHORITY = """
{
    admin off
    skip_install_trust
}
ca.example.org {
    tls internal
    acme_server
}
"""
AUTHORITY_ROOT = "caddy/pki/authorities/local/root.crt"
# The last chunk is none: what a proxy finds out when the request is on its way already.
BROKEN = f"POST / HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nZ\r\n"
# Answers each request with what it was sent; /probes and /slow as a web would. /end breaks off.
WEB = """
import http.server, json, socket, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline() or b"0", 16):
                self.rfile.read(size + 2)
        print(self.command, self.path, flush=True)
        if self.path == "/slow":
            time.sleep(2)
        if self.path == "/end":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if self.path == "/stream":
            return self.stream()
        status = {"/readyz": 503, "/unavailable": 503, "/away": 302}.get(self.path, 200)
        told = {"headers": self.headers.items(), "body": len(body), "by": socket.gethostname()}
        answer = json.dumps(told).encode() + b" " * 2000
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(answer)))
        if status == 302:
            self.send_header("Location", "/there/?q=private")
        if status == 503:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(answer)

    def stream(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"data: %d\\n\\n" % number)
            self.wfile.flush()
            time.sleep(1)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Edge:
    """A proxy, and the containers behind it."""

    http: int
    https: int
    proxy: str
    webs: tuple[str, ...]

    def connect(self, version: ssl.TLSVersion | None = None, name: str = NAME) -> ssl.SSLSocket:
        """A TLS connection; by whom the certificate is signed is another question."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # our own side is to allow old protocols
        if version:
            context.minimum_version = context.maximum_version = version
        plain = socket.create_connection((HERE, self.https), timeout=30)
        return context.wrap_socket(plain, server_hostname=name)

    def is_trusted(self, name: str, root: Path) -> bool:
        """Whether `root` has signed for this name."""
        context = ssl.create_default_context(cafile=str(root))
        with suppress(OSError), socket.create_connection((HERE, self.https), timeout=5) as plain:
            return bool(context.wrap_socket(plain, server_hostname=name).version())
        return False

    def ask(
        self, path: str = "/", method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (in lower case) and body of an answer."""
        connection = http.client.HTTPConnection(NAME, self.https, timeout=30)
        connection.sock = self.connect()
        named = {key.replace("__", "-"): value for key, value in headers.items()}
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            connection.request(method, path, body, {"Host": NAME, **named})
        answer = connection.getresponse()
        found = {key.lower(): value for key, value in answer.getheaders()}
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, found, text

    def told(self, **headers: str) -> dict[str, str]:
        """The headers that reach the web, in lower case."""
        pairs = json.loads(self.ask(**headers)[2])["headers"]
        return {key.lower(): value for key, value in pairs}

    def asked(self, line: str) -> int:
        """How many requests of this method and path have reached the webs."""
        return sum(self.logs(web).splitlines().count(line) for web in self.webs)

    def logs(self, container: str) -> str:
        done = docker("logs", container)
        return done.stdout + done.stderr

    def raw(self, request: bytes, *, tls: bool = True) -> bytes:
        """The first bytes of the answer to what is no proper request."""
        plain = self.connect() if tls else socket.create_connection((HERE, self.http), timeout=30)
        with plain as connection:
            with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
                connection.sendall(request)
            with suppress(ConnectionResetError, ssl.SSLError):
                return connection.recv(4096)
        return b""


@pytest.fixture(scope="module")
def edge(docker_runtime: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with _edge(tmp_path_factory.mktemp("edge")) as made:
        yield made


@contextmanager
def _edge(folder: Path) -> Iterator[Edge]:
    """Before two webs, on ports that are free."""
    (folder / "web.py").write_text(WEB)
    with _network() as network:
        for number in (1, 2):
            flags = ("--network-alias", "tasks.web", "--volume", f"{folder}:/web:ro")
            image = ("python:3.14-alpine", "python", "/web/web.py")
            _run(network, f"web-{number}", *flags, *image)
        http_port = ports.free_port(9080)
        https_port = ports.free_port(http_port + 1)
        values = {"HTTP_PORT": str(http_port), "HTTPS_PORT": str(https_port), "TLS": "internal"}
        values |= {"HTTPS_SUFFIX": f":{https_port}", "DOMAIN": " ".join((*NAMES, TRIAL))}
        made = _proxy(network, http_port, https_port, values)
        eventually(lambda: _answers(made), 30, "the proxy answers")
        yield made


@contextmanager
def _network() -> Iterator[str]:
    """A network of its own, which goes with all containers in it."""
    name = f"edge-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--label", f"edge={name}", name)
    try:
        yield name
    finally:
        found = docker("ps", "--all", "--quiet", "--filter", f"label=edge={name}").stdout.split()
        docker("rm", "--force", "--volumes", *found)
        docker("network", "rm", name)


def _run(network: str, name: str, *flags_and_image: str) -> None:
    labels = ("--label", f"edge={network}", "--network", network)
    docker("run", "--detach", "--name", f"{network}-{name}", *labels, *flags_and_image)


def _proxy(
    network: str, http_port: int, https_port: int, values: dict[str, str], *flags: str
) -> Edge:
    """As compose/prod.yaml has it; `values` are its environment."""
    values = {"DOMAIN": " ".join(NAMES), "MAX_BODY": "10MB", **values}
    _run(
        *(network, "proxy", *flags),
        *(word for pair in values.items() for word in ("--env", "=".join(pair))),
        *("--read-only", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"),
        *("--tmpfs", "/config", "--tmpfs", "/data"),
        *("--volume", f"{ROOT / 'compose/caddy'}:/etc/caddy:ro"),
        *("--publish", f"{HERE}:{http_port}:{values.get('HTTP_PORT', 80)}"),
        *("--publish", f"{HERE}:{https_port}:{values.get('HTTPS_PORT', 443)}"),
        "caddy:2-alpine",
    )
    webs = (f"{network}-web-1", f"{network}-web-2")
    return Edge(http_port, https_port, f"{network}-proxy", webs)


def _answers(edge: Edge) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return edge.ask()[0] == 200
    return False


def _seconds(succeeds: Callable[[], bool]) -> float:
    began = time.monotonic()
    assert succeeds()
    return time.monotonic() - began


@pytest.mark.parametrize("name", NAMES)
def test_http_goes_to_https_and_keeps_the_path(edge: Edge, name: str) -> None:
    answer = edge.raw(f"GET /a/b?c=d HTTP/1.1\r\nHost: {name}\r\n\r\n".encode(), tls=False)
    assert answer.startswith(b"HTTP/1.1 308") and b"Server:" not in answer
    assert f"Location: https://{name}:{edge.https}/a/b?c=d".encode() in answer


def test_the_headers_of_an_answer(edge: Edge) -> None:
    status, headers, _ = edge.ask(Accept__Encoding="gzip")
    assert status == 200
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-encoding"] == "gzip"
    assert uuid.UUID(headers["x-request-id"])
    assert f'h3=":{edge.https}"' in headers["alt-svc"]
    assert not {"server", "via", "x-powered-by"} & headers.keys()


@pytest.mark.parametrize("path", ["/", "/unavailable"])
def test_a_trial_binds_no_other_port_of_localhost_to_https(edge: Edge, path: str) -> None:
    headers = edge.ask(path, Host=TRIAL)[1]
    assert "strict-transport-security" not in headers and headers["x-frame-options"]


def test_modern_protocols_alone(edge: Edge) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with edge.connect(version) as connection:
            assert connection.version()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        edge.connect(ssl.TLSVersion.TLSv1_1)


def test_what_a_client_says_of_itself_does_not_reach_the_web(edge: Edge) -> None:
    forged = {
        "X__Forwarded__For": "6.6.6.6",
        "X__Forwarded__Proto": "http",
        "X__Forwarded__Host": "evil.example",
        "X__Forwarded__Prefix": "/evil.example",
        "X__Forwarded__Ssl": "mine",
        "Forwarded": "for=6.6.6.6;host=evil.example",
        "X__Real__Ip": "6.6.6.6",
        "X__Request__Id": "mine",
    }
    told = edge.told(**forged, X_Forwarded_Proto="http", X_Request_Id="mine")
    assert (
        "6.6.6.6" not in str(told) and "evil.example" not in str(told) and "mine" not in str(told)
    )
    assert told["x-forwarded-proto"] == "https"
    assert {name for name in told if "forwarded" in name} == {
        "x-forwarded-for",
        "x-forwarded-proto",
    }
    assert told["host"] == edge.told(Host=f"{NAME}:6666")["host"] == f"{NAME}:{edge.https}"
    assert uuid.UUID(told["x-request-id"])
    assert not [name for name in told if "_" in name], "WSGI would take it for the one with hyphens"


@pytest.mark.parametrize("tls", [True, False])
def test_a_name_that_is_none_of_ours(edge: Edge, tls: bool) -> None:
    for host in ("evil.example", HERE, f"{NAME}.evil.example"):
        answer = edge.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), tls=tls)
        assert answer.startswith(b"HTTP/1.1 421"), host


def test_the_ways_past_the_name_are_closed(edge: Edge) -> None:
    for line, host in {"GET http://tasks.web:8000/": NAME, "CONNECT db:5432": "db:5432"}.items():
        answer = edge.raw(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 421"), line
    answer = edge.raw(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nHost: evil.example\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400")


def test_a_certificate_for_no_other_name(edge: Edge) -> None:
    for name in ("evil.example", ""):
        with pytest.raises((ssl.SSLError, ConnectionResetError, ValueError)):
            edge.connect(name=name)


def test_certificates_come_by_themselves(docker_runtime: object, tmp_path: Path) -> None:
    (tmp_path / "Caddyfile").write_text(AUTHORITY)
    (tmp_path / "data").mkdir()
    root = tmp_path / "data" / AUTHORITY_ROOT
    account = (
        f"acme_ca https://ca.example.org/acme/local/directory\nacme_ca_root /ca/{AUTHORITY_ROOT}"
    )
    with _network() as network:
        folders = ("--volume", f"{tmp_path}:/etc/caddy:ro", "--volume", f"{tmp_path}/data:/data")
        _run(network, "ca", "--network-alias", "ca.example.org", *folders, "caddy:2-alpine")
        eventually(root.exists, 30, "the authority is there")
        names = (word for name in NAMES for word in ("--network-alias", name))
        flags = (*names, "--volume", f"{tmp_path}/data:/ca:ro")
        http_port = ports.free_port(9090)
        values = {"TLS": "acme", "ACME_ACCOUNT": account}
        edge = _proxy(network, http_port, ports.free_port(http_port + 1), values, *flags)
        for name in NAMES:
            eventually(lambda name=name: edge.is_trusted(name, root), 40, "there is a certificate")


def test_a_certificate_of_ones_own(docker_runtime: object, tmp_path: Path) -> None:
    authority = Authority.made_in(tmp_path / "authority")
    own = authority.issue(",".join(f"DNS:{name}" for name in NAMES))
    (tmp_path / "tls_cert").write_text(own["CERTIFICATE"])
    (tmp_path / "tls_key").write_text(own["KEY"])
    secrets = ("--volume", f"{tmp_path}:/run/secrets:ro")
    with _network() as network:
        http_port = ports.free_port(9090)
        https_port = ports.free_port(http_port + 1)
        edge = _proxy(network, http_port, https_port, {"TLS": "certificate"}, *secrets)
        root = authority.folder / "ca.pem"
        for name in NAMES:
            eventually(lambda name=name: edge.is_trusted(name, root), 20, "it is shown")


def test_a_header_of_100_mb(edge: Edge) -> None:
    line = b"X-Large: " + b"x" * 1_000_000
    request = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n".encode() + b"\r\n".join([line] * 100)
    answer = edge.raw(request)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert edge.ask()[0] == 200


def test_a_body_of_100_mb(edge: Edge) -> None:
    assert edge.ask("/", "POST", b"x" * 5_000_000)[0] == 200
    for body in (b"x" * 100_000_000, (b"x" * 1_000_000 for _ in range(100))):
        try:
            status = edge.ask("/", "POST", body)[0]
        except (OSError, http.client.HTTPException):  # it hangs up on who goes on sending
            continue
        assert status == 413
    assert edge.ask()[0] == 200


def test_slow_clients_keep_nobody_waiting(edge: Edge) -> None:
    half = f"POST / HTTP/1.1\r\nHost: {NAME}\r\n".encode()
    slow_bodies = half + b"Content-Length: 1000\r\n\r\nx"
    slow = [edge.connect() for _ in range(60)]
    for number, connection in enumerate(slow):
        connection.sendall(half if number % 2 else slow_bodies)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert {answer[0] for answer in pool.map(lambda _: edge.ask(), range(40))} == {200}
    assert time.monotonic() - began < 10
    slow[1].settimeout(20)
    with suppress(ConnectionResetError, ssl.SSLError):  # headers that never end, it ends
        assert slow[1].recv(100) == b""
    for connection in slow:
        connection.close()


def test_a_body_that_is_not_there_yet_keeps_no_web(edge: Edge) -> None:
    with edge.connect() as slow:
        slow.sendall(f"POST /held HTTP/1.1\r\nHost: {NAME}\r\n".encode())
        slow.sendall(b"Content-Length: 3000001\r\n\r\n" + b"x" * 3_000_000)
        time.sleep(1)
        assert edge.asked("POST /held") == 0
        slow.sendall(b"x")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def test_a_request_that_breaks_off_takes_no_container_out(edge: Edge) -> None:
    for _ in range(6):
        assert edge.raw(BROKEN.encode()).startswith(b"HTTP/1.1 502")
        assert _seconds(lambda: edge.ask()[0] == 200) < 2


def test_a_page_that_ends_its_process_does_not_end_them_all(edge: Edge) -> None:
    status, headers, _ = edge.ask("/end")
    assert (status, headers["retry-after"]) == (503, "2")
    assert 1 <= edge.asked("GET /end") <= 5, "what only reads is asked for again, for a moment"


def test_what_may_have_been_done_is_not_sent_again(edge: Edge) -> None:
    status, headers, body = edge.ask("/end", "POST", b"x")
    assert status == 502 and "retry-after" not in headers and "Look whether" in body
    assert edge.asked("POST /end") == 1


def test_a_page_is_asked_for_once(edge: Edge) -> None:
    assert edge.ask("/once")[0] == edge.ask("/once", "POST", b"x")[0] == 200
    assert edge.asked("GET /once") == edge.asked("POST /once") == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_what_comes_bit_by_bit_goes_on_so(edge: Edge, encoding: str) -> None:
    request = f"GET /stream HTTP/1.1\r\nHost: {NAME}\r\nAccept-Encoding: {encoding}\r\n\r\n"
    began = time.monotonic()
    assert edge.raw(request.encode()).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < 2.5, "the first line is there before the last"


def test_the_log_has_the_id_and_no_question(edge: Edge) -> None:
    headers = edge.ask("/logged?q=private", Referer=f"https://{NAME}/?q=private", Cookie="a=b")[1]
    eventually(lambda: "/logged" in edge.logs(edge.proxy), 5, "it is in the log")
    lines = [line for line in edge.logs(edge.proxy).splitlines() if "/logged" in line]
    assert headers["x-request-id"] in lines[0] and "private" not in "".join(lines)
    assert json.loads(lines[0])["request"]["headers"]["Cookie"] == ["REDACTED"]
    assert edge.ask("/away")[1]["location"] == "/there/?q=private"
    assert "private" not in edge.logs(edge.proxy)


def test_whether_and_not_why(edge: Edge) -> None:
    assert edge.ask("/healthz")[::2] == (200, "ready")
    assert edge.ask("/readyz")[::2] == (503, "not ready")


def test_the_webs_own_503_passes(edge: Edge) -> None:
    status, headers, body = edge.ask("/unavailable")
    assert (status, headers["retry-after"]) == (503, "7") and "headers" in body


@needs_root
def test_an_address_that_does_not_answer(edge: Edge) -> None:
    """As on a node that was cut off: it is still in the names."""
    with cut_off(edge.webs[0]):
        took = [_seconds(lambda: edge.ask()[0] == 200) for _ in range(10)]
    assert max(took) < 5
    assert sum(took) / len(took) < 1.5, "it is given up soon"


def test_containers_that_are_gone(edge: Edge) -> None:
    one, other = edge.webs
    docker("stop", "--time", "0", one)
    assert {edge.ask()[0] for _ in range(20)} == {200}
    docker("stop", "--time", "0", other)
    status, headers, body = edge.ask()
    assert (status, headers["retry-after"]) == (503, "2") and "not available" in body
    assert headers["strict-transport-security"] and headers["x-request-id"]
    assert "server" not in headers
    docker("start", one, other)
    eventually(lambda: _answers(edge), 20, "it goes on by itself")
