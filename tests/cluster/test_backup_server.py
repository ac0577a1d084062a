"""Backups on a server that is reached by SSH: rclone's own, with keys and passwords for real."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stacks import eventually
from uploads import RCLONE

from djup.host.ports import free_port
from djup.keeper import store
from djup.keeper.config import Config
from djup.keeper.store import Store, Stored
from djup.problems import Problem

WORD = "a word"
ONE = Stored("x", "2026-11-30T03:15:00+00:00", 7, "0" * 64, 1, 0, 0, encrypted=False)
pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no openssh-client")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the keys of a server (host) and of who asks it (user)."""
    for name in ("host", "user"):
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name)
        subprocess.run(argv, check=True)
    monkeypatch.setenv("PATH", f"{Path(RCLONE).parent}:{os.environ['PATH']}")
    monkeypatch.setattr(store, "KNOWN_HOSTS", str(tmp_path / "known_hosts"))
    (tmp_path / "served").mkdir()
    return tmp_path


@contextmanager
def served(keys: Path, *, password: bool) -> Iterator[dict[str, str]]:
    """A server that takes a password or a key; the settings that lead to it."""
    port = free_port(22800)
    argv = [RCLONE, "serve", "sftp", "--addr", f"127.0.0.1:{port}", "--key", keys / "host"]
    who = (
        ["--user", "ann", "--pass", WORD] if password else ["--authorized-keys", keys / "user.pub"]
    )
    with subprocess.Popen([*argv, *who, keys / "served"], stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: answers(port), 10, "the server answers")
            yield {
                "BACKUP_TO": f"sftp://ann@127.0.0.1:{port}/deep/folder",
                "BACKUP_HOST_KEY": (keys / "host.pub").read_text().rsplit(" ", 1)[0],
                "BACKUP_SSH_KEY": "" if password else (keys / "user").read_text(),
                "BACKUP_SECRET_KEY": WORD if password else "",
            }
        finally:
            server.kill()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("password", [True, False])
def test_what_is_put_there_is_found_and_removed(keys: Path, password: bool) -> None:
    with served(keys, password=password) as settings:
        there = Store(Config("shop", settings))
        assert there.backups() == []
        (file := keys / "one").write_text("content")
        there.put(file, "x.dump")
        assert there.backups() == [], "without its facts it is none"
        there.put_facts(ONE)
        assert there.backups() == [ONE]
        assert there.get("x.dump", keys).read_text() == "content"
        there.remove("x")
        assert there.backups() == [] and not [*(keys / "served").rglob("x.*")]


def test_what_looks_the_same_is_read_all_the_same(keys: Path) -> None:
    """Of the same size and time: rclone alone would take it for what is there already."""
    with served(keys, password=True) as settings:
        there = Store(Config("shop", settings))
        (file := keys / "x.dump").write_text("content")
        there.put(file, "x.dump")
        lies = next((keys / "served").rglob("x.dump"))
        facts = lies.stat()
        lies.write_text("damaged")
        os.utime(lies, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert there.get("x.dump", keys).read_text() == "damaged"


def test_what_a_killed_round_has_left_goes_after_a_day(keys: Path) -> None:
    with served(keys, password=True) as settings:
        there = Store(Config("shop", settings))
        there.put_facts(ONE)
        for end in (".dump.age", ".json.age", ".files.json.age", ".contents"):
            for name in ("x", "killed", "in-work"):
                (file := keys / f"{name}{end}").write_text("content\n")
                long_ago = time.time() - (3600 if name == "in-work" else 90_000)
                os.utime(file, (long_ago, long_ago))
                there.put(file, file.name)
        there.remove_unfinished([ONE.name])
        left = {path.name.partition(".")[0] for path in (keys / "served").rglob("*.*")}
        assert left == {"x", "in-work"}
        assert there.lines("*.contents") == {"content"}


def test_another_server_than_the_one_that_is_known_is_refused(keys: Path) -> None:
    with served(keys, password=True) as settings:
        other = (keys / "user.pub").read_text().rsplit(" ", 1)[0]
        there = Store(Config("shop", {**settings, "BACKUP_HOST_KEY": other}))
        with pytest.raises(Problem) as caught:
            there.backups()
        assert caught.value.code == "BAK24" and "key mismatch" in caught.value.what
        assert WORD not in str(caught.value)
