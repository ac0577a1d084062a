"""Docker: the production image and its server, run as a Swarm would run them."""

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import checkout
import pytest
from machine import needs_root
from stacks import Docker, cut_off, docker, eventually
from uploads import multipart

from djup import ROOT
from djup.stack.causes.web import NO_DATABASE, NOT_MIGRATED, SETTINGS

SLOW_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notes", "0002_note_attachment")]
    operations = [migrations.RunSQL("select pg_sleep(600)")]
"""
NPM = """FROM python:3.14-alpine
COPY --chmod=755 <<PY /usr/local/bin/npm
#!/usr/bin/env python3
import json, subprocess, sys
json.load(open("package-lock.json"))
if sys.argv[1] == "run":
    script = json.load(open("package.json"))["scripts"][sys.argv[2]]
    subprocess.run(["sh", "-euc", script], check=True)
PY
"""
MEGABYTES_OVER_BASE = 48
READY_SECONDS = 3  # one, on a machine with nothing else to do
PLANTED = "planted-secret-8c1f"
KEY = "secret-key-51d2-of-the-image-tests-0123456789-abcdefghijkl"
PASSWORD = "sql-password-3b7a"
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")
PAGE = {"Host": "shop.example", "X-Forwarded-Proto": "https"}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


opener = urllib.request.build_opener(NoRedirect)


@dataclass
class Answer:
    status: int
    text: str
    headers: dict[str, str]


def get(url: str, method: str = "GET", timeout: float = 20, **headers: str) -> Answer:
    """The answer, whatever its status; headers have small letters, - for _."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, headers=PAGE | named, method=method)
    try:
        answer = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, answer.read().decode("utf-8", "replace"), found)


@dataclass
class Production:
    """The image, a database in a network of its own, and the files that are mounted as secrets."""

    name: str
    secrets: Path
    image: str = field(init=False)

    def __post_init__(self) -> None:
        self.image = f"{self.name}-prod"

    def build(self, root: Path) -> None:
        dockerfile = root / "compose" / "web" / "Dockerfile"
        target = ("--target=prod", f"--file={dockerfile}", f"--tag={self.image}")
        docker("build", "--quiet", *target, str(root), timeout=300)

    def start_database(self) -> None:
        docker("network", "create", self.name)
        user = ("POSTGRES_DB=app", "POSTGRES_USER=app", f"POSTGRES_PASSWORD={PASSWORD}")
        variables = [f"--env={pair}" for pair in user]
        self.run("db", "postgres:18-alpine", *variables)
        ask = ("psql", "--host=127.0.0.1", "--username=app", "--command=select 1")
        password = f"--env=PGPASSWORD={PASSWORD}"
        db = f"{self.name}-db"
        eventually(lambda: not docker("exec", password, db, *ask, check=False).returncode, 60, "db")
        done = self.once("python", "manage.py", "migrate", "--no-input")
        assert done.returncode == 0, done.stderr

    def run(self, role: str, image: str, *flags: str) -> None:
        names = (f"--name={self.name}-{role}", f"--network={self.name}")
        docker("run", "--detach", *names, *flags, image)

    def flags(self, changes: dict[str, str]) -> list[str]:
        """What a service of the stack has, with some variables changed ('' takes one away)."""
        variables = {
            "DEBUG": "0",
            "HTTPS": "1",
            "ALLOWED_HOSTS": "shop.example",
            "SQL_ENGINE": "django.db.backends.postgresql",
            "SQL_DATABASE": "app",
            "SQL_USER": "app",
            "SQL_HOST": f"{self.name}-db",
            "SQL_PASSWORD_FILE": "/run/secrets/sql_password",
            "SECRET_KEY_FILE": "/run/secrets/secret_key",
            "SETTINGS_FILE": "/run/secrets/settings",
            "DB_WAIT_SECONDS": "1",
            "DRAIN_SECONDS": "2",
            **changes,
        }
        mount = f"--volume={self.secrets}:/run/secrets:ro"
        return [*HARDENED, mount, *(f"--env={k}={v}" for k, v in variables.items() if v)]

    def once(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A container that runs a command to its end (without one, the server)."""
        argv = ("run", "--rm", f"--network={self.name}", *self.flags(changes), self.image)
        return docker(*argv, *command, check=False)

    @contextmanager
    def replica(
        self, role: str = "web", flags: Sequence[str] = (), **changes: str
    ) -> Iterator["Replica"]:
        flags = ("--publish=127.0.0.1::8000", *self.flags(changes), *flags)
        self.run(role, self.image, *flags)
        try:
            yield Replica(f"{self.name}-{role}")
        finally:
            docker("rm", "--force", "--volumes", f"{self.name}-{role}")

    def sleeping(self) -> int:
        """How many sessions of the database's are in pg_sleep()."""
        return self._sessions("wait_event = 'PgSleep'")

    def waiting(self) -> int:
        """How many wait for a lock of another."""
        return self._sessions("wait_event_type = 'Lock'")

    def _sessions(self, which: str) -> int:
        asked = f"select count(*) from pg_stat_activity where {which}"
        argv = ("psql", "--username=app", "--no-align", "--tuples-only", f"--command={asked}")
        return int(docker("exec", f"{self.name}-db", *argv).stdout)

    def database(self, verb: str) -> None:
        docker(verb, f"{self.name}-db")

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", f"{self.name}-db", check=False)
        docker("network", "rm", self.name, check=False)
        docker("image", "rm", "--force", self.image, check=False)


@dataclass
class Replica:
    name: str

    @property
    def url(self) -> str:
        return f"http://{docker('port', self.name, '8000').stdout.strip()}/"

    def healthy(self) -> bool:
        return docker("exec", self.name, "healthcheck", check=False).returncode == 0

    def until_ready(self) -> "Replica":
        eventually(self.healthy, 20, "the replica is ready")
        return self

    def log(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def kill(self, signum: signal.Signals) -> None:
        docker("kill", f"--signal={signum.name}", self.name)

    def status(self) -> int:
        """That with which it ends."""
        return int(docker("wait", self.name).stdout)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, docker_runtime: Docker) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    made = Production(f"test-{folder.parent.name}-{folder.name}", folder / "secrets")
    made.secrets.mkdir()
    for name, text in {"secret_key": KEY, "sql_password": PASSWORD, "settings": "{}"}.items():
        (made.secrets / name).write_text(f"{text}\n")
    root = checkout.make(folder / "checkout")
    for name in (".env", "project/.env", "project/db.sqlite3", "project/media/a.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(PLANTED)
    try:
        made.build(root)
        made.start_database()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def replica(stack: Production) -> Iterator[Replica]:
    """One for the tests that change nothing."""
    with stack.replica("lasting") as made:
        yield made.until_ready()


def test_size(stack: Production) -> None:
    names = (stack.image, "python:3.14-alpine")
    image, base = (
        int(docker("image", "inspect", "--format={{.Size}}", name).stdout) for name in names
    )
    print(f"{(image - base) / 1e6:.1f} MB over the base image")
    assert image - base <= MEGABYTES_OVER_BASE * 1e6


def test_the_image_holds_no_secret_and_nothing_of_the_toolkit(stack: Production) -> None:
    saved = subprocess.run(["docker", "save", stack.image], capture_output=True, check=True)
    assert b"manage.py" in saved.stdout
    leaked = [text for text in (PLANTED, KEY, PASSWORD) if text.encode() in saved.stdout]
    assert leaked == []
    look = "ls -A /srv; find /opt /srv -name '*.po'; command -v uv; id -u"
    found = docker("run", "--rm", stack.image, "sh", "-c", look).stdout
    assert found.split() == ["media", "project", "static", "10001"]
    look = "from importlib.util import find_spec as f; print(f('debugpy'), f('debug_toolbar'))"
    assert docker("run", "--rm", stack.image, "python", "-c", look).stdout.split() == 2 * ["None"]


def test_the_place_of_a_bundler_as_the_docs_have_it(
    stack: Production, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What it writes into a folder that git ignores is collected; a stand-in for npm writes it."""
    root = checkout.make(tmp_path_factory.mktemp("bundler") / "checkout")
    base, image = f"{stack.image}-npm", f"{stack.image}-bundled"
    page = (ROOT / "docs/how-to/production-extras.md").read_text()
    stage = page.partition("```dockerfile\nFROM node")[2].partition("```")[0]
    assert stage
    file = root / "compose/web/Dockerfile"
    text = file.read_text()
    assert text.count("FROM scratch AS assets\n") == 1
    stage = f"FROM node{stage}".replace("node:24-alpine", base)
    file.write_text(text.replace("FROM scratch AS assets\n", stage))
    script = "mkdir -p project/static/dist && cp project/front.css project/static/dist/bundle.css"
    nothing = script.partition(" && ")[0]
    (root / "package.json").write_text(json.dumps({"scripts": {"build": script}}))
    (root / "package-lock.json").write_text("{}")
    (root / "project/front.css").write_text("body {}")
    base_html = root / "project/templates/base.html"
    base_html.write_text(base_html.read_text().replace("site.css", "dist/bundle.css"))
    ask = "from djup_web.static_names import lacking; print(lacking())"
    try:
        docker("build", "--quiet", f"--tag={base}", "-", input=NPM)
        target = ("--target=project", f"--file={file}", f"--tag={image}")
        docker("build", "--quiet", *target, str(root), timeout=300)
        settings = ("--env=DEBUG=1", "--env=PRODUCTION=1")
        shell = ("/opt/venv/bin/python", "manage.py", "shell", "--no-imports", "-c", ask)
        assert docker("run", "--rm", *settings, image, *shell).stdout.strip() == "{}"
        (root / "package.json").write_text(json.dumps({"scripts": {"build": nothing}}))
        docker("build", "--quiet", *target, str(root), timeout=300)
        assert "dist/bundle.css" in docker("run", "--rm", *settings, image, *shell).stdout
    finally:
        docker("image", "rm", "--force", base, image, check=False)


def test_a_page_behind_a_proxy(replica: Replica) -> None:
    page = get(replica.url, X_Request_Id="4f1c-9")
    assert page.status == 200 and "PostgreSQL 18" in page.text
    assert page.headers["x-request-id"] == "4f1c-9"
    assert "max-age=" in page.headers["strict-transport-security"]
    eventually(lambda: '"path": "/"' in replica.log(), 5, "it is in the log")
    lines = [json.loads(line) for line in replica.log().splitlines() if '"path": "/"' in line]
    assert [(line["request_id"], line["status"]) for line in lines] == [("4f1c-9", 200)]
    plain = get(replica.url, X_Forwarded_Proto="http")
    assert (plain.status, plain.headers["location"]) == (301, "https://shop.example/")
    assert get(replica.url, Host="elsewhere.example").status == 400
    form = get(f"{replica.url}admin/login/")
    assert re.search(r"csrftoken=.*; Secure", form.headers["set-cookie"])


def test_head_is_nothing_to_warn_of(replica: Replica) -> None:
    head = get(replica.url, "HEAD")
    assert (head.status, head.text) == (200, "") and int(head.headers["content-length"]) > 1000
    lines = [line for line in replica.log().splitlines() if "HEAD" in line]
    assert [json.loads(line)["level"] for line in lines] == ["INFO"]


def test_static_files_are_hashed_compressed_and_kept_for_ever(replica: Replica) -> None:
    found = re.search(r'href="/(static/site\.[0-9a-f]{12}\.css)"', get(replica.url).text)
    assert found
    file = get(f"{replica.url}{found[1]}", Accept_Encoding="gzip")
    assert (file.status, file.headers["content-encoding"]) == (200, "gzip")
    assert "immutable" in file.headers["cache-control"]
    assert file.headers["x-content-type-options"] == "nosniff"
    assert get(f"{replica.url}static/admin/css/base.css").status == 200


def test_static_files_are_shared_with_a_proxy(stack: Production) -> None:
    """In an anonymous volume here; its root is read-only but for that and /tmp."""
    with stack.replica(flags=("--volume=/srv/static",)) as replica:
        replica.until_ready()
        assert re.search(r"Shared \d{2,} new static files", replica.log())
        there = docker("exec", replica.name, "find", "/srv/static", "-name", "site.*").stdout
        names = sorted(Path(line).name for line in there.split())
        assert len(names) == 2 and names[1] == f"{names[0]}.gz"


def upload(replica: Replica, content: str) -> Answer:
    """What a form is answered that has a file with this content."""
    page = get(f"{replica.url}notes/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "text": "with a file"}
    kind, body = multipart("file.txt", content, **fields)
    named = {"Content-Type": kind, "Origin": "https://shop.example"}
    named["Cookie"] = page.headers["set-cookie"].partition(";")[0]
    request = urllib.request.Request(f"{replica.url}notes/", body.encode(), PAGE | named)
    try:
        answer = opener.open(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.read().decode(), {})


@needs_root
def test_a_full_disk_is_said_and_nothing_is_half_written(stack: Production) -> None:
    media = {"MEDIA_ROOT": "/srv/media/files"}
    small = ("--tmpfs=/srv/media:size=256k,uid=10001",)
    with stack.replica(flags=small, **media) as replica:
        replica.until_ready()
        look = ("exec", replica.name, "find", "/srv/media", "-type", "f", "-size", "+0")
        for content in ("x" * 500_000, "x" * 3_000_000):  # in memory, and in /tmp
            full = upload(replica, content)
            assert full.status == 507 and "Nothing was stored" in full.text, replica.log()
            assert docker(*look).stdout == ""
        eventually(lambda: "the disk is full" in replica.log(), 5, "the log says it")
        assert upload(replica, "small").status == 302
        assert len(docker(*look).stdout.split()) == 1
    with stack.replica(flags=("--tmpfs=/tmp:size=1m",), **media) as replica:
        replica.until_ready()
        assert upload(replica, "x" * 3_000_000).status == 507, "it waits in /tmp while it comes"
        assert upload(replica, "x").status == 507, "there is no volume"
        eventually(lambda: "read-only" in replica.log(), 5, "the log says it")


def test_it_runs_with_no_privilege(replica: Replica) -> None:
    told = docker("exec", replica.name, "cat", "/proc/1/status").stdout
    facts = dict(line.split(":", 1) for line in told.splitlines())
    assert facts["Uid"].split() == ["10001"] * 4
    assert (facts["NoNewPrivs"].strip(), int(facts["CapEff"], 16)) == ("1", 0)
    assert docker("exec", replica.name, "touch", "/srv/project/x", check=False).returncode


def test_djangos_own_check_of_a_deployment(stack: Production) -> None:
    checks = ("python", "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = stack.once(*checks)
    assert done.returncode == 0, done.stderr


def test_a_migration_ends_with_its_container(stack: Production, tmp_path: Path) -> None:
    """The server would go on with it, and with its locks."""
    name, slow = f"{stack.name}-migration", tmp_path / "0003_slow.py"
    slow.write_text(SLOW_MIGRATION)
    slow.chmod(0o644)
    mount = f"--volume={slow}:/srv/project/notes/migrations/0003_slow.py:ro"
    flags = ("--detach", f"--name={name}", f"--network={stack.name}", *stack.flags({}), mount)
    docker("run", *flags, stack.image, "python", "manage.py", "migrate_once")
    try:
        eventually(lambda: stack.sleeping() == 1, 20, "it is at work")
    finally:
        docker("rm", "--force", name)
    eventually(lambda: stack.sleeping() == 0, 10, "the server has given it up")


def test_it_is_ready_soon(stack: Production) -> None:
    started = time.monotonic()
    with stack.replica() as replica:
        while not replica.healthy():
            assert time.monotonic() - started < 20
        seconds = time.monotonic() - started
    print(f"ready {seconds:.2f} s after `docker run`")
    assert seconds < READY_SECONDS


REFUSALS = [
    ({"SECRET_KEY_FILE": "/run/secrets/none"}, SETTINGS, "SECRET_KEY_FILE names"),
    ({"SECRET_KEY_FILE": "", "SECRET_KEY": "x"}, SETTINGS, "SECRET_KEY is too weak"),
    ({"ALLOWED_HOSTS": ""}, SETTINGS, "ALLOWED_HOSTS is empty"),
    ({"SQL_ENGINE": ""}, SETTINGS, "SQL_ENGINE is missing"),
    ({"WEB_THREADS": "many"}, SETTINGS, "WEB_THREADS is 'many'"),
    ({"SQL_HOST": "127.0.0.1"}, NO_DATABASE, "Cannot connect to the database at 127.0.0.1"),
    ({"SQL_DATABASE": "postgres"}, NOT_MIGRATED, "24 migrations are not applied"),
]


@pytest.mark.parametrize(("changes", "status", "sentence"), REFUSALS)
def test_a_start_that_cannot_succeed_ends_with_its_reason(
    stack: Production, changes: dict[str, str], status: int, sentence: str
) -> None:
    done = stack.once(**changes)
    assert done.returncode == status, done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith(sentence) and last.endswith(".")


def test_sigterm_ends_the_wait_for_a_database(stack: Production) -> None:
    with stack.replica(SQL_HOST="127.0.0.1", DB_WAIT_SECONDS="60") as replica:
        eventually(lambda: "Waiting for the database" in replica.log(), 10, "it waits")
        assert not replica.healthy()
        replica.kill(signal.SIGTERM)
        assert replica.status() == 0


def test_ready_once_it_lives_on_without_the_database(stack: Production) -> None:
    with stack.replica() as replica:
        replica.until_ready()
        get(replica.url)
        stack.database("pause")
        try:
            assert replica.healthy()
        finally:
            stack.database("unpause")
        stack.database("stop")
        try:
            assert replica.healthy() and get(f"{replica.url}readyz").status == 503
            page = get(replica.url)
            assert (page.status, page.headers["retry-after"]) == (503, "2")
        finally:
            stack.database("start")
        eventually(lambda: get(replica.url).status == 200, 20, "the page is back")


def test_busy_is_not_dead(stack: Production) -> None:
    """One whose only thread waits for a row; ended is who has not answered for minutes."""
    with stack.replica(WEB_WORKERS="1", WEB_THREADS="1") as replica:
        slow = Slow(stack, replica.until_ready().url, seconds=12)
        slow.start()
        eventually(lambda: stack.waiting() == 1, 9, "the thread waits")
        assert replica.healthy()
        docker("exec", replica.name, "touch", "-d", "2026-01-01 00:00", "/tmp/web-late")
        assert not replica.healthy()
        slow.join()
        assert slow.found == 200 and replica.healthy()
        assert docker("exec", replica.name, "ls", "/tmp/web-late", check=False).returncode


@needs_root
def test_a_database_of_which_nothing_comes_any_more(stack: Production) -> None:
    """As where its machine lost power. Kept connections are given up, and no replica ends."""
    with stack.replica() as replica:
        url = replica.until_ready().url
        for _ in range(20):
            assert get(url).status == 200
        with cut_off(f"{stack.name}-db"):
            for most in (22, 22, 22, 22, 5):
                began = time.monotonic()
                assert get(url, timeout=most).status == 503
            assert time.monotonic() - began < 5, "nobody waits any more"
            assert replica.healthy()
        eventually(lambda: get(url).status == 200, 20, "the page is back")


def test_sigterm_loses_no_request(stack: Production) -> None:
    """One that waits for a row all along, and many new ones while the proxies still send them."""
    with stack.replica(DRAIN_SECONDS="6") as replica:
        url = replica.until_ready().url
        slow = Slow(stack, url, seconds=10)
        slow.start()
        eventually(lambda: stack.waiting() == 1, 9, "a request waits for the row")
        clients = [Client(url) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        told = time.monotonic()
        replica.kill(signal.SIGTERM)
        time.sleep(0.7)
        replica.kill(signal.SIGTERM)  # a second one hurries nothing
        time.sleep(0.8)
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join()
        assert replica.status() == 0
        assert 6 < time.monotonic() - told < 30
        slow.join()
        assert slow.found == 200
        assert [fault for client in clients for fault in client.faults] == []
        assert sum(client.answers for client in clients) > 50
        assert "Traceback" not in replica.log()


def test_ctrl_c_ends_it(stack: Production) -> None:
    with stack.replica() as replica:
        replica.until_ready()
        replica.kill(signal.SIGINT)
        assert replica.status() == 0


class Slow(threading.Thread):
    """A page that reads a table which another session has locked for some seconds."""

    found = 0

    def __init__(self, stack: Production, url: str, seconds: int) -> None:
        super().__init__()
        self.stack = stack
        lock = f"begin; lock notes_note; select pg_sleep({seconds}); commit"
        argv = ("exec", f"{stack.name}-db", "psql", "--username=app", f"--command={lock}")
        self.url, self.locker = url, threading.Thread(target=docker, args=argv)

    def run(self) -> None:
        self.locker.start()
        eventually(lambda: self.stack.sleeping() == 1, 20, "the table is locked")
        self.found = get(self.url, timeout=60).status
        self.locker.join()


class Client(threading.Thread):
    """New requests, each on a connection of its own, one after the other."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.answers, self.stopping = url, 0, False
        self.faults: list[str] = []

    def run(self) -> None:
        while not self.stopping:
            try:
                answer = get(f"{self.url}healthz")
                assert json.loads(answer.text) == {"status": "ok"}
                self.answers += 1
            except Exception as error:
                self.faults.append(repr(error))
