"""Servers for the production image, each behind Caddy as in production: the home page, which reads
the database, and a static file."""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from harness import ROOT

RUNS, SECONDS, CONCURRENCY, WORKERS = 3, 5, 32, 2
READY_RUNS = 7
NAME = "bench-production"
HOST = "shop.test"
KEY, PASSWORD = "bench0123456789" * 4, "bench"
IMAGE, GRANIAN = f"{NAME}-prod", f"{NAME}-granian"
PYTHON = "python:3.14-alpine"
FILES = f"{NAME}-static"
ADDRESS = '{{(index .NetworkSettings.Networks "' + NAME + '").IPAddress}}'
VARIABLES = {
    "DEBUG": "0",
    "HTTPS": "1",
    "ALLOWED_HOSTS": HOST,
    "SQL_ENGINE": "django.db.backends.postgresql",
    "SQL_DATABASE": "app",
    "SQL_USER": "app",
    "SQL_PASSWORD": PASSWORD,
    "SQL_HOST": f"{NAME}-db",
    "SECRET_KEY": KEY,
    "WEB_WORKERS": str(WORKERS),
}
# Django as its documentation and that of whitenoise would have it, and no more.
PLAIN = """\
from config.settings import *

DATABASES["default"]["CONN_MAX_AGE"] = int(environ["MAX_AGE"])
MIDDLEWARE.insert(0, "whitenoise.middleware.WhiteNoiseMiddleware")
"""
GRANIAN_IMAGE = f"""\
FROM {IMAGE}
USER root
RUN /usr/local/bin/python3 -m pip install --quiet --no-cache-dir --target /opt/granian granian
USER web
ENV PYTHONPATH=/opt/granian
"""
BIND = "--bind=0.0.0.0:8000"
GRANIAN_COMMAND = (
    *("python", "-m", "granian", "--interface=wsgi", "--host=0.0.0.0", f"--workers={WORKERS}"),
    *("--static-path-mount=/srv/project/staticfiles", "--static-path-expires=31536000"),
    "config.wsgi:application",
)
CADDY = f"""\
{{
	admin off
	fallback_sni {HOST}
	skip_install_trust
	auto_https disable_redirects
}}
"""
SITE = """\
https://{host}:{port} {{
	tls internal
	encode
	{files}
	reverse_proxy {container}:8000 {{
		{transport}
	}}
}}
"""
# As compose/caddy/Caddyfile has it: nothing hangs on a connection to a node that is gone.
CLOSED = "transport http {\n\t\t\tkeepalive off\n\t\t}"
BY_CADDY = """root /srv
	@shared file {
		try_files {path}
	}
	handle @shared {
		file_server {
			precompressed gzip
		}
	}"""


@dataclass(frozen=True)
class Server:
    """One way to serve the image: its command and its variables; `files` and `transport` of the
    proxy's site."""

    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    image: str = IMAGE
    files: str = ""
    transport: str = ""


def sync(max_age: str) -> Server:
    command = ("gunicorn", f"--workers={WORKERS}", BIND, "config.wsgi")
    variables = {"PYTHONPATH": "/bench", "DJANGO_SETTINGS_MODULE": "plain", "MAX_AGE": max_age}
    return Server(command, tuple(variables.items()))


BASE = "gunicorn sync, a connection for each request"
OURS = "gunicorn gthread, 4 threads"
SERVERS = {
    BASE: sync("0"),
    "gunicorn sync, connections kept": sync("600"),
    "gunicorn gthread, 2 threads": Server(variables=(("WEB_THREADS", "2"),)),
    OURS: Server(variables=(("WEB_THREADS", "4"),)),
    "gunicorn gthread, 8 threads": Server(variables=(("WEB_THREADS", "8"),)),
    "granian, 4 threads": Server((*GRANIAN_COMMAND, "--blocking-threads=4"), image=GRANIAN),
    "gthread, files by Caddy": Server(files=BY_CADDY),
    "gthread, files by Caddy, no keep-alive (ours)": Server(files=BY_CADDY, transport=CLOSED),
}


@dataclass(frozen=True)
class Measured:
    """Requests a second, the slowest hundredth in ms, and those that failed."""

    rate: float
    p99: float
    failed: int


def docker(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"docker {arguments} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.strip()


def build() -> None:
    dockerfile = ROOT / "compose" / "web" / "Dockerfile"
    docker("build", "--quiet", f"--file={dockerfile}", "--target=prod", f"--tag={IMAGE}", str(ROOT))
    docker("build", "--quiet", f"--tag={GRANIAN}", "-", text=GRANIAN_IMAGE)


@contextmanager
def container(role: str, image: str, *command: str, flags: Sequence[str] = ()) -> Iterator[str]:
    name = f"{NAME}-{role}"
    flags = (f"--network={NAME}", *flags)
    docker("run", "--detach", f"--name={name}", *flags, image, *command)
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@contextmanager
def network() -> Iterator[None]:
    docker("network", "create", NAME)
    try:
        yield
    finally:
        docker("network", "rm", NAME)
        subprocess.run(["docker", "volume", "rm", FILES], capture_output=True)


def environment(variables: Sequence[tuple[str, str]] = ()) -> list[str]:
    return [f"--env={key}={value}" for key, value in (*VARIABLES.items(), *variables)]


def database(stack: ExitStack) -> None:
    user = {"POSTGRES_DB": "app", "POSTGRES_USER": "app", "POSTGRES_PASSWORD": PASSWORD}
    flags = [f"--env={key}={value}" for key, value in user.items()]
    stack.enter_context(container("db", "postgres:18-alpine", flags=flags))
    migrate = ("run", "--rm", f"--network={NAME}", *environment(), IMAGE)
    retry = (
        "for n in $(seq 30); do python manage.py migrate --no-input && exit; sleep 1; done; exit 1"
    )
    docker(*migrate, "sh", "-c", retry)


def start(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Server -> its address, behind one Caddy."""
    (folder / "plain.py").write_text(PLAIN)
    sites, ports = [CADDY], {}
    for port, (name, server) in enumerate(SERVERS.items(), 9001):
        flags = [*environment(server.variables), f"--volume={folder}:/bench:ro"]
        if server.files:
            flags.append(f"--volume={FILES}:/srv/static")
        made = container(str(port), server.image, *server.command, flags=flags)
        site = {"host": HOST, "port": port, "files": server.files, "transport": server.transport}
        sites.append(SITE.format(container=stack.enter_context(made), **site))
        ports[name] = port
    (folder / "Caddyfile").write_text("\n".join(sites))
    volumes = (f"{folder}/Caddyfile:/etc/caddy/Caddyfile:ro", f"{FILES}:/srv/static:ro")
    mounts = [f"--volume={volume}" for volume in volumes]
    command = ("caddy", "run", "--config=/etc/caddy/Caddyfile")
    proxy = stack.enter_context(container("proxy", "caddy:2-alpine", *command, flags=mounts))
    address = docker("inspect", f"--format={ADDRESS}", proxy)
    time.sleep(5)
    return {name: f"https://{address}:{port}/" for name, port in ports.items()}


def load(url: str, seconds: int = SECONDS) -> Measured:
    """What wrk says of this address."""
    headers = ("-H", f"Host: {HOST}", "-H", "Accept-Encoding: gzip")
    how = ("--threads=1", f"--connections={CONCURRENCY}", f"--duration={seconds}s", "--latency")
    said = subprocess.run(["wrk", *how, *headers, url], capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if not (rate and p99):
        sys.exit(f"wrk of {url} measured nothing:\n{said}")
    unit = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    failed = sum(map(int, re.findall(r"(?:Non-2xx.*?|connect|read|write|timeout):? (\d+)", said)))
    return Measured(float(rate[1]), float(p99[1]) * unit, failed)


def fetch(url: str) -> str:
    curl = ("curl", "--silent", "--insecure", "--fail", "--header", f"Host: {HOST}", url)
    return subprocess.run(curl, capture_output=True, text=True, check=True).stdout


def memory(name: str) -> str:
    """What a container holds, its file cache left out."""
    return docker("stats", "--no-stream", "--format={{.MemUsage}}", name).partition(" ")[0]


def ready(server: Server) -> float:
    """Seconds from `docker run` to the first good answer of /readyz; the database is migrated."""
    began = time.perf_counter()
    with container("ready", server.image, flags=environment(server.variables)) as name:
        address = docker("inspect", f"--format={ADDRESS}", name)
        while not answers(address):
            time.sleep(0.01)
        return time.perf_counter() - began


def answers(address: str) -> bool:
    connection = HTTPConnection(address, 8000, timeout=2)
    try:
        connection.request("GET", "/readyz", headers={"Host": HOST, "X-Forwarded-Proto": "https"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def over_base() -> float:
    """MB that the image is larger than its base."""
    image, base = (
        int(docker("image", "inspect", "--format={{.Size}}", name)) for name in (IMAGE, PYTHON)
    )
    return (image - base) / 1e6


def report(what: str, measured: dict[str, list[Measured]], target: str) -> None:
    base = statistics.median(one.rate for one in measured[BASE])
    for name, runs in measured.items():
        rate = statistics.median(one.rate for one in runs)
        p99 = statistics.median(one.p99 for one in runs)
        failed = sum(one.failed for one in runs)
        figures = f"{rate:.0f} / s | {rate / base:.2f} | {p99:.0f} ms | {failed}"
        print(f"| {what}: {name} | {figures} | {target} |", flush=True)


def bench_production() -> None:
    """All of them by turns, so that a busy moment strikes each."""
    if not shutil.which("wrk"):
        sys.exit("it needs wrk; run: sudo apt-get install wrk")
    build()
    with ExitStack() as stack:
        stack.enter_context(network())
        database(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        addresses = start(stack, folder)
        found = re.search(r'href="/(static/site\.\w+\.css)"', fetch(addresses[OURS]))
        pages = {"home page": "", "static file": found[1] if found else ""}
        measured = {page: {name: [] for name in SERVERS} for page in pages}
        for run in range(RUNS + 1):
            for name, address in addresses.items():
                for page, path in pages.items():
                    one = load(f"{address}{path}", SECONDS if run else 1)
                    measured[page][name].extend([one] if run else [])  # the first one warms up
        print("| what | rate | beside the first | p99 | failed | target |")
        for page, target in (("home page", ">= 1.5"), ("static file", ">= 5")):
            report(page, measured[page], target)
        for port, name in enumerate(SERVERS, 9001):
            print(f"| memory after that: {name} | {memory(f'{NAME}-{port}')} | | | | <= 120 MB |")
        seconds = statistics.median(ready(SERVERS[OURS]) for _ in range(READY_RUNS))
        print(f"| ready after `docker run`: {OURS} | {seconds:.2f} s | | | | <= 1 s |")
        print(f"| image over its base | {over_base():.1f} MB | | | | <= 46 MB |")


if __name__ == "__main__":
    bench_production()
