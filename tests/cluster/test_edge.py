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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from machine import needs_root
from stacks import cut_off, docker, eventually
from tls import Authority

from djup import ROOT
from djup.deploy import ask_pages, maintenance_files, readyz
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
# What visitors have uploaded, with what a browser is told to do with it.
SHOWN, SAVED = ("photo.png", "deep/Er.PDF", "text.txt"), ("page.html", "sign.svg", "no-suffix")
UPLOADS = (*SHOWN, *SAVED, ".hidden", ".git/config", "private/mine.txt", "private/mine.svg")
CONTENT = "0123456789" * 500
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
        if self.path.startswith("/allowed/"):
            self.send_header("X-Accel-Redirect", self.path.replace("/allowed", "/media"))
            self.send_header("Content-Disposition", "inline; filename=as-said")
            self.send_header("Cache-Control", "private")
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

# Asks as a balancer would that is not trusted: with PORT HOST PATH.
STRANGER = """
import http.client, sys

port, host, path = sys.argv[1:]
forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
connection = http.client.HTTPConnection("tasks.proxy", int(port))
connection.request("GET", path, headers={"Host": host, **forged})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@dataclass(frozen=True)
class Edge:
    """A proxy, the containers behind it, and the folder that it shares with them; `tls` if it is
    asked by HTTPS."""

    http: int
    https: int
    proxy: str
    webs: tuple[str, ...]
    static: Path = Path()
    tls: bool = True

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
        connection = http.client.HTTPConnection(HERE, self.http, timeout=30)
        if self.tls:
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
        values = {"DOMAIN": " ".join((*NAMES, TRIAL)), **_values(http_port, https_port)}
        static = folder / "static"
        static.mkdir()
        shared = ("--volume", f"{_uploads(folder)}:/srv/media:ro")
        shared += ("--volume", f"{static}:/srv/static:ro")
        made = _proxy(network, http_port, https_port, values, *shared)
        eventually(lambda: _answers(made), 30, "the proxy answers")
        yield replace(made, static=static)


def _values(http_port: int, https_port: int) -> dict[str, str]:
    """Of a proxy on ports that are not those of the web."""
    values = {"HTTP_PORT": str(http_port), "HTTPS_PORT": str(https_port), "TLS": "internal"}
    return values | {"HTTPS_SUFFIX": f":{https_port}"}


@contextmanager
def _another(edge: Edge, *flags: str, name: str = "another", **values: str) -> Iterator[Edge]:
    """A proxy with other values, before the same webs."""
    network = edge.proxy.removesuffix("-proxy")
    http_port = ports.free_port(9380)
    https_port = ports.free_port(http_port + 1)
    values = _values(http_port, https_port) | values
    made = _proxy(network, http_port, https_port, values, *flags, name=name)
    try:
        eventually(lambda: _answers(made), 30, "the proxy answers")
        yield made
    finally:
        docker("rm", "--force", "--volumes", made.proxy)


def _uploads(folder: Path) -> Path:
    for name in UPLOADS:
        file = folder / "media/files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CONTENT)
    return folder / "media"


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
    network: str,
    http_port: int,
    https_port: int,
    values: dict[str, str],
    *flags: str,
    name: str = "proxy",
) -> Edge:
    """As compose/prod.yaml has it; `values` are its environment."""
    values = {"DOMAIN": " ".join(NAMES), "MAX_BODY": "10MB", **values}
    _run(
        *(network, name, *flags),
        *(word for pair in values.items() for word in ("--env", "=".join(pair))),
        *("--read-only", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE"),
        *("--tmpfs", "/config", "--tmpfs", "/data"),
        *("--volume", f"{ROOT / 'compose/caddy'}:/etc/caddy:ro"),
        *("--publish", f"{HERE}:{http_port}:{values.get('HTTP_PORT', 80)}"),
        *("--publish", f"{HERE}:{https_port}:{values.get('HTTPS_PORT', 443)}"),
        "caddy:2-alpine",
    )
    webs = (f"{network}-web-1", f"{network}-web-2")
    return Edge(http_port, https_port, f"{network}-{name}", webs)


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


def test_who_is_trusted_says_whom_it_speaks_for(edge: Edge) -> None:
    """Of several addresses the last that is none of its own: the client can write the others."""
    said = "6.6.6.6, 203.0.113.7, 192.0.2.2"
    trusted = "trusted_proxies static private_ranges 192.0.2.0/24"
    with _another(edge, TRUSTED_PROXIES=trusted) as trusting:
        told = trusting.told(X__Forwarded__For=said, X__Forwarded__Proto="http")
        assert told["x-forwarded-for"] == "203.0.113.7"
        assert told["x-forwarded-proto"] == "https"
    assert "203.0.113.7" not in str(edge.told(X__Forwarded__For=said))


def test_a_maintenance_page_is_there_at_once_and_gone_at_once(edge: Edge) -> None:
    """As the program writes it that a deploy runs on each node."""
    home = edge.static / ".maintenance"
    shared = edge.static / "site.1234.css"
    shared.write_text("p {}")
    paths = ("/", "/static/site.1234.css", f"/media/{SHOWN[0]}", "/static/.maintenance/page.html")
    assert [edge.ask(path)[0] for path in paths] == [200, 200, 200, 200]  # the last is the web's
    ours = _peer(edge)
    maintenance_files.main(home, "<p>back at ten")
    try:
        for path in paths:
            status, headers, text = edge.ask(path)
            assert (status, text) == (503, "<p>back at ten"), path
            assert headers["retry-after"] == "60" and headers["cache-control"] == "no-store"
        assert edge.ask("/healthz")[0] == 200
        maintenance_files.main(home, "<p>back at ten", ours)
        assert [edge.ask(path)[0] for path in paths] == [200, 200, 200, 200]
        maintenance_files.main(home, "<p>back at ten", "203.0.113.7")
        assert edge.ask()[0] == 503
    finally:
        maintenance_files.main(home)
    assert edge.ask()[0] == 200 and [*edge.static.iterdir()] == [shared]


def _peer(edge: Edge) -> str:
    """Our address, as the proxy has it."""
    return edge.told()["x-forwarded-for"]


@pytest.fixture(scope="module")
def plain(edge: Edge) -> Iterator[Edge]:
    """With TLS=off, asked by HTTP as a balancer would that is trusted."""
    networks = f"{_peer(edge)} 192.0.2.0/24"
    flags = ("--network-alias", "tasks.proxy", "--volume", f"{edge.static}:/srv/static:ro")
    own_certificate = "local_certs\nskip_install_trust"
    values = {"TLS": "off", "ACME_ACCOUNT": own_certificate, "TRUSTED_NETWORKS": networks}
    values |= {"HTTP_NAMES": " ".join(f"http://{name}" for name in NAMES)}
    values |= {"TRUSTED_PROXIES": f"trusted_proxies static {networks}"}
    with _another(edge, *flags, name="plain", **values) as made:
        yield replace(made, static=edge.static, tls=False)


def _for(visitor: str, proto: str = "https") -> dict[str, str]:
    """What a balancer says of a visitor."""
    return {"X__Forwarded__For": visitor, "X__Forwarded__Proto": proto}


def _inside(edge: Edge, program: str, *words: str) -> str:
    """What a program says that runs in the stack's network, as a deploy's checks do."""
    argv = ("exec", "--interactive", edge.webs[0], "python", "-", *words)
    return docker(*argv, input=program).stdout.strip()


def test_without_tls_a_balancer_says_who_the_visitor_is(plain: Edge) -> None:
    told = plain.told(**_for("6.6.6.6, 203.0.113.7, 192.0.2.2"), X__Forwarded__Host="evil.example")
    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("203.0.113.7", "https")
    assert told["host"] == f"{NAME}:{plain.https}" and "evil" not in str(told)
    headers = plain.ask(**_for("203.0.113.7"))[1]
    assert headers["strict-transport-security"] and "alt-svc" not in headers
    assert plain.ask(Host="evil.example", **_for("203.0.113.7"))[0] == 421


def test_without_tls_a_visitor_of_http_is_led_to_https(plain: Edge) -> None:
    status, headers, _ = plain.ask("/a?b=c", **_for("203.0.113.7", "http"))
    assert (status, headers["location"]) == (308, f"https://{NAME}:{plain.https}/a?b=c")
    assert "strict-transport-security" not in headers
    for headers in ({}, {"X__Forwarded__Proto": "http, https"}, {"X__Forwarded__Proto": "HTTPS"}):
        assert plain.ask(**headers)[::2] == (400, "X-Forwarded-Proto has to be https or http")


def test_without_tls_nobody_else_has_a_page(plain: Edge) -> None:
    """Whatever it says of itself; but whether it is ready."""
    own = docker("exec", plain.webs[0], "hostname", "-i").stdout.strip()
    said = f"403 {own} is not one of TRUSTED_PROXIES"
    assert _inside(plain, STRANGER, str(plain.http), NAME, "/") == said
    assert _inside(plain, STRANGER, str(plain.http), NAME, "/healthz") == "200 ready"


def test_without_tls_a_deploy_asks_at_the_port_that_is_not_published(plain: Edge) -> None:
    ports = (str(plain.https), str(plain.http))
    assert _inside(plain, Path(readyz.__file__).read_text(), NAME, *ports) == "503"
    request = {"paths": ["/", "/away"], "host": f"{NAME}:{plain.https}", "tls": True}
    request |= {"address": "tasks.proxy", "port": plain.https}
    program = Path(ask_pages.__file__).read_text()
    answers = json.loads(_inside(plain, program, json.dumps(request)))
    assert answers == {"/": "200", "/away": "200 (at /there/?q=private)"}


def test_without_tls_a_maintenance_page_is_for_all_but_some(plain: Edge) -> None:
    maintenance_files.main(plain.static / ".maintenance", "<p>back at ten", "203.0.113.7")
    try:
        asked = [plain.ask(**_for(visitor))[0] for visitor in ("203.0.113.7", "203.0.113.8")]
        assert asked == [200, 503] and plain.ask("/healthz")[0] == 200
    finally:
        maintenance_files.main(plain.static / ".maintenance")


@pytest.mark.parametrize("host", [HERE, NAME, "evil.example"])
def test_a_balancer_asks_whether_it_is_ready_by_any_name(
    edge: Edge, plain: Edge, host: str
) -> None:
    for one in (edge, replace(edge, tls=False), plain):
        assert one.ask("/healthz", Host=host)[::2] == (200, "ready")
        assert one.ask("/readyz", Host=host)[::2] == (503, "not ready")


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


def test_uploads_are_served_and_nothing_of_them_runs(edge: Edge) -> None:
    for name in (*SHOWN, *SAVED):
        status, headers, text = edge.ask(f"/media/{name}")
        assert (status, text) == (200, CONTENT), name
        assert headers["x-content-type-options"] == "nosniff"
        saved = headers.get("content-disposition") == "attachment"
        assert saved == (name in SAVED) == ("sandbox" in headers.get("content-security-policy", ""))
        assert headers["cache-control"] == "max-age=3600"


def test_a_part_of_an_upload(edge: Edge) -> None:
    for name in ("/media/photo.png", "/media/text.txt", "/allowed/private/mine.txt"):
        status, headers, text = edge.ask(name, Range="bytes=10-14", Accept__Encoding="gzip")
        assert (status, text) == (206, "01234"), name
        assert headers["content-range"] == "bytes 10-14/5000"


@pytest.mark.parametrize(
    "path",
    [
        *("/media/", "/media/deep/", "/media/gone.png", "/media/deep"),
        *("/media/.hidden", "/media/.git/config", "/media/%2ehidden", "/media/deep/../.hidden"),
        *("/media/private/mine.txt", "/media//private/mine.txt", "/media/./private/mine.txt"),
        *("/media/deep/%2e%2e/private/mine.txt", "/media/PRIVATE/mine.txt", "/media%2fprivate/x"),
        *("/media/../../etc/passwd", "/media/%2e%2e/%2e%2e/etc/passwd"),
    ],
)
def test_no_private_file_no_dotfile_no_list(edge: Edge, path: str) -> None:
    status, _, text = edge.ask(path)
    assert CONTENT not in text and "root:" not in text and "photo" not in text
    assert text.startswith('{"headers"') or status in (400, 404), "the web itself answers"


def test_a_private_file_that_the_web_allows(edge: Edge) -> None:
    status, headers, text = edge.ask("/allowed/private/mine.txt")
    assert (status, text) == (200, CONTENT)
    assert headers["content-type"].startswith("text/plain"), "by the file, not by the web"
    assert headers["content-disposition"] == "inline; filename=as-said"
    assert headers["cache-control"] == "private" and "x-accel-redirect" not in headers
    assert edge.ask("/allowed/private/mine.txt", "HEAD")[::2] == (200, "")
    assert edge.ask("/allowed/private/mine.txt", "POST", b"x")[2] == CONTENT
    assert edge.ask("/allowed/private/mine.svg")[1]["content-disposition"].startswith("attachment")
    for lost in ("/allowed/private/gone.txt", "/allowed/../../etc/passwd", "/allowed/private/"):
        assert edge.ask(lost)[0] in (404, 200)
        assert "root:" not in edge.ask(lost)[2] and CONTENT not in edge.ask(lost)[2]
