"""Backups that a stack makes by itself: shipped to a bucket, tried out, red when they fail, and the
way back from a server that is lost."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deployed import FIGURES, Site
from machine import needs_root
from nodes import ThisMachine
from stacks import Docker, Make, docker, eventually
from test_deployed_uploads import attach
from traffic import Visitor
from uploads import RCLONE

from djup.keeper.store import Stored

NAME = "keeps"
HERE = "172.17.0.1"  # this machine, as containers see it
PORT, LISTENER = 22790, 22791
BUCKET = f"{HERE}:{PORT}"
SETTINGS = {
    "DEPLOY_TO": ThisMachine.hosts[0],
    "STACK": NAME,
    "DOMAIN": "keeps.example.org",
    "TLS": "internal",
    "HTTP_PORT": "8780",
    "HTTPS_PORT": "8743",
    "PROD_BACKUP_AT": "03:15",
    "PROD_BACKUP_KEEP": "2d",
    "PROD_BACKUP_TO": "s3://shop/sites",
    "PROD_BACKUP_ENDPOINT": f"http://{BUCKET}",
    "PROD_BACKUP_ACCESS_KEY": "ann",
    "PROD_BACKUP_SECRET_KEY": "secret-3f1c",
    "PROD_HEARTBEAT_URL": f"http://{HERE}:{LISTENER}/beat",
    "PROD_NOTIFY_URL": f"http://{HERE}:{LISTENER}/alarm",
}
SECRET = "nobody may read this in the store"


class Listener:
    """What HEARTBEAT_URL and NOTIFY_URL lead to: counts the one, keeps what the other got."""

    def __init__(self) -> None:
        self.beats, self.alarms = 0, list[str]()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.beats += 1
                self._answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.alarms.append(json.loads(body)["text"])
                self._answer()

            def _answer(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((HERE, LISTENER), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()


def answers(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


class Bucket:
    """A server of S3's protocol; `store` is the stack's folder as it lies there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "shop" / "sites" / NAME
        self.store.mkdir(parents=True)
        self.serve()

    def serve(self, secret: str = SETTINGS["PROD_BACKUP_SECRET_KEY"]) -> None:
        argv = [RCLONE, "serve", "s3", "--addr", BUCKET, "--auth-key", f"ann,{secret}"]
        environ = {**os.environ, "RCLONE_CONFIG": "/dev/null"}
        self.server = subprocess.Popen([*argv, self.folder], env=environ, stderr=subprocess.DEVNULL)
        eventually(lambda: answers(HERE, PORT), 10, "the server of the bucket answers")

    def stop(self) -> None:
        self.server.kill()
        self.server.wait()

    def forget(self) -> None:
        """Begin again: it remembers sizes of files, which these tests change under its hands."""
        self.stop()
        self.serve()

    @property
    def facts(self) -> list[Path]:
        return sorted(self.store.glob("*.backup"))

    @property
    def verified(self) -> list[Path]:
        return sorted(self.store.glob("*.verified"))

    @property
    def contents(self) -> set[str]:
        return {path.name for path in (self.store / "files").rglob("*") if path.is_file()}

    def grow_older(self, days: float) -> None:
        """Have every backup be so many days older than it is, and so the next one be due."""
        for path in [*self.facts, *self.verified]:
            record = json.loads(path.read_text())
            key = "created" if "created" in record else "at"
            made = datetime.fromisoformat(record[key]) - timedelta(days=days)
            path.write_text(json.dumps({**record, key: made.isoformat()}) + "\n")
        self.forget()

    def is_new(self) -> bool:
        """Whether the newest backup was made within a minute or two."""
        made = [json.loads(path.read_text())["created"] for path in self.facts]
        age = datetime.now(UTC) - datetime.fromisoformat(max(made))
        return age < timedelta(minutes=3)

    def next_backup(self, days: float = 1) -> None:
        """Have the keeper find that one is due, now rather than at the next time."""
        self.grow_older(days)
        look_again()
        eventually(self.is_new, 60, "a new backup is there")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    if not Path(RCLONE).exists():
        pytest.skip("requirements/s3.txt is not installed")
    made = Bucket(tmp_path_factory.mktemp("store"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(make: Make, docker_runtime: Docker, bucket: Bucket, listener: Listener) -> Iterator[Site]:
    stack = make(docker_runtime, name=NAME, **SETTINGS)
    made = Site(stack, ThisMachine(), NAME, ())
    private, public = new_key(made)
    stack.set("PROD_BACKUP_KEY", public)
    stack.set("BACKUP_IDENTITY", private)
    made.git("init", "--quiet")
    made.commit()
    try:
        made.deploy("--yes")
        yield made
    finally:
        made.engines.remove(NAME)
        remove_images()


def new_key(site: Site) -> tuple[str, str]:
    lines = site.inv("deploy.backups", "--new-key").stdout.split()
    pairs = dict(line.split("=", 1) for line in lines)
    return pairs["BACKUP_IDENTITY"], pairs["PROD_BACKUP_KEY"]


def remove_images() -> None:
    ours = ("image", "ls", "--quiet", "--filter", f"label=deploy.keeper={NAME}")
    if images := docker(*ours).stdout.split():
        docker("image", "rm", "--force", *set(images), check=False)


def backups(site: Site) -> list[Stored]:
    found = json.loads(site.inv("deploy.backups", "--json", code=None).stdout)
    return [Stored(**one) for one in found["backups"]]


def look_again() -> None:
    """Restart the keeper, which then looks at once for what is due."""
    docker("service", "update", "--quiet", "--detach", "--force", f"{NAME}_keeper")


def test_the_first_backup_is_made_encrypted_and_tried_out(
    site: Site, bucket: Bucket, listener: Listener
) -> None:
    eventually(lambda: bool(bucket.verified), 60, "the first backup was tried out")
    eventually(lambda: listener.beats > 0, 10, "the heartbeat came")
    assert not listener.alarms
    (first,) = backups(site)
    assert first.encrypted and first.verified and first.rows > 10
    listed = site.inv("deploy.backups").stdout
    assert first.name in listed and "yes" in listed
    told = site.status()["backups"]
    assert told["problem"] == "" and "verified" in told["said"]
    dump = bucket.store / f"{first.name}.dump.age"
    assert dump.read_bytes().startswith(b"age-encryption.org/v1") and dump.stat().st_size > 1000


def test_uploads_are_stored_once_and_nothing_can_be_read(site: Site, bucket: Bucket) -> None:
    attach(site.place, "kept.txt", SECRET)
    bucket.next_backup()
    assert len(bucket.facts) == 2
    before = bucket.contents
    attach(site.place, "same.txt", SECRET)
    attach(site.place, "other.txt", "another one")
    bucket.next_backup(days=8)
    eventually(lambda: len(bucket.verified) == 2, 30, "it is a week after the last trial")
    eventually(lambda: len(bucket.facts) == 2, 30, "BACKUP_KEEP=2d: the oldest is gone")
    assert len(before) == 1 < len(bucket.contents) == 2, "the same content is there once"
    for path in bucket.store.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert backups(site)[0].files == 3


@pytest.mark.fault("BAK23", "docker")
@pytest.mark.fault("BAK27", "docker")
def test_a_restore_from_the_store(site: Site, bucket: Bucket) -> None:
    newest, identity = backups(site)[0].name, site.stack.values["BACKUP_IDENTITY"]
    site.sql("delete from notes_note")
    site.stack.set("BACKUP_IDENTITY", "")
    site.refused("BAK23", "deploy.restore", newest)
    site.stack.set("BACKUP_IDENTITY", identity)
    assert newest in site.refused("BAK27", "deploy.restore", "nothing-of-that-name")
    done = site.inv("deploy.restore", "latest", "--yes")
    assert f"restored {newest}" in done.stderr
    assert site.sql("select text from notes_note where text like 'with kept%'")
    eventually(lambda: site.heading() != "", 20, "the site is well")


def red(site: Site, code: str, task: str) -> str:
    """What a task prints that ends with this problem, after what it lists."""
    done = site.inv(task, code=1)
    assert f"error {code}: " in done.stderr and "Traceback" not in done.stderr, done
    return done.stdout + done.stderr


@contextmanager
def keeper_stopped(bucket: Bucket) -> Iterator[None]:
    docker("service", "scale", "--detach", f"{NAME}_keeper=0")
    yield
    docker("service", "scale", "--detach", f"{NAME}_keeper=1")


@contextmanager
def key_replaced(bucket: Bucket) -> Iterator[None]:
    bucket.stop()
    bucket.serve("another")
    yield
    bucket.stop()
    bucket.serve()


@contextmanager
def network_torn(bucket: Bucket) -> Iterator[None]:
    match = ("-p", "tcp", "-d", HERE, "--dport", str(PORT), "!", "-s", HERE, "-j", "REJECT")
    subprocess.run(["iptables", "-I", "INPUT", *match], check=True)
    yield
    subprocess.run(["iptables", "-D", "INPUT", *match], check=True)


@contextmanager
def disk_full(bucket: Bucket) -> Iterator[None]:
    """Of the store: it has no room for a dump."""
    kept = bucket.store.with_name("kept")
    bucket.store.rename(kept)
    bucket.store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", bucket.store], check=True)
    for path in [*kept.glob("*.backup"), *kept.glob("*.verified")]:
        shutil.copy(path, bucket.store)
    (bucket.store / "filler").write_bytes(b"x" * 80_000)
    yield
    subprocess.run(["umount", "--lazy", bucket.store], check=True)
    bucket.store.rmdir()
    kept.rename(bucket.store)
    bucket.forget()


@needs_root
@pytest.mark.parametrize(
    ("broken", "code", "alarm"),
    [
        (keeper_stopped, "DEP58", ""),
        (key_replaced, "BAK24", "SignatureDoesNotMatch"),
        (network_torn, "BAK24", "refused"),
        (disk_full, "DEP58", "scheduled backup failed"),
    ],
)
@pytest.mark.fault("BAK24", "docker")
@pytest.mark.fault("DEP58", "docker")
def test_what_goes_wrong_is_red_within_one_schedule_and_heals(
    site: Site,
    bucket: Bucket,
    listener: Listener,
    broken: Callable[[Bucket], AbstractContextManager[None]],
    code: str,
    alarm: str,
) -> None:
    bucket.grow_older(1.1)
    listener.alarms.clear()
    with broken(bucket):
        if alarm:
            look_again()
            eventually(lambda: bool(listener.alarms), 90, "an alarm came")
            assert alarm in listener.alarms[0] and NAME in listener.alarms[0]
        said = red(site, code, "deploy.status")
        assert code in site.stack.found_by_doctor()
        red(site, code, "deploy.backups")
        assert "secret-3f1c" not in f"{said}{listener.alarms}"
        assert Visitor(site.place, "reader").ask("GET", "/readyz")[0].status == 200
    look_again()
    eventually(bucket.is_new, 90, "the next backup is made without anybody")
    eventually(lambda: not site.stack.found_by_doctor() & {code}, 10, "doctor is content")
    assert site.status()["backups"]["problem"] == ""


def test_keys_that_nobody_has_used_are_tried_before_a_deploy(site: Site) -> None:
    before = site.release()
    with site.taken_back():
        site.stack.set("PROD_BACKUP_SECRET_KEY", "another")
        assert "SignatureDoesNotMatch" in site.refused("BAK24")
        site.stack.set("PROD_BACKUP_TO", "s3://no-such-bucket")
        site.stack.set("PROD_BACKUP_SECRET_KEY", SETTINGS["PROD_BACKUP_SECRET_KEY"])
        assert "the bucket no-such-bucket does not exist" in site.refused("BAK24")
    assert site.release() == before


@pytest.mark.fault("DEP60", "docker")
@pytest.mark.fault("DEP61", "docker")
def test_the_server_is_lost_and_the_site_is_back(site: Site, bucket: Bucket) -> None:
    """The stack, its Swarm and its volumes are gone; what is left are the settings, the commit, and
    the store."""
    url = attach(site.place, "drill.txt", "after the drill")
    name = site.inv("deploy.backups", "--now").stdout.strip()
    assert name in {path.stem for path in bucket.facts}
    notes = site.sql("select text from notes_note order by text")
    site.refused("DEP60", "deploy", "--from-backup", "latest")
    site.engines.remove(NAME)
    shutil.rmtree(site.stack.root / "backups", ignore_errors=True)
    assert bucket.facts[-1].stem in site.refused("DEP61", "deploy", "--yes")
    site.engines.remove(NAME)
    # The private key alone says what was encrypted, and for whom.
    public = site.stack.values["PROD_BACKUP_KEY"]
    site.stack.set("PROD_BACKUP_KEY", "")
    begun = time.monotonic()
    site.deploy("--from-backup", "latest", "--yes")
    seconds = time.monotonic() - begun
    FIGURES.append(f"{NAME}, the server was lost: the site is back after {seconds:.0f} s")
    assert site.sql("select text from notes_note order by text") == notes
    assert Visitor(site.place, "reader").get(url)[1] == "after the drill"
    site.stack.set("PROD_BACKUP_KEY", public)
    assert {one.name for one in backups(site)} >= {path.stem for path in bucket.facts}
