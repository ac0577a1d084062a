"""What the archive runs, beside a database and without any stack: copies, gaps, an end."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from machine import needs_root
from stacks import Docker, docker, eventually

from djup.deploy import moments, programs

IMAGE = "postgres:18-alpine"
SYSTEM = "select system_identifier from pg_control_system()"
USER = ("--env", "PGUSER=app", "--env", "PGDATABASE=app")
DAY = 86_400

pytestmark = needs_root


@dataclass
class Followed:
    """A database, the archive that follows it, and its folder."""

    name: str
    folder: Path
    password: Path

    def start_database(self) -> None:
        keys = {"POSTGRES_PASSWORD": "secret", "POSTGRES_USER": "app", "POSTGRES_DB": "app"}
        env = [word for key, text in keys.items() for word in ("--env", f"{key}={text}")]
        self._run("db", *env, IMAGE)
        eventually(lambda: self.sql("select 1") == "1", 30, "the database answers")

    def marked(self) -> None:
        """As a restore has the database write something, which is later than what is asked for."""
        self.sql("select pg_logical_emit_message(true, 'djup', 'a restore')")

    def start_archive(self) -> None:
        program = programs.FOLDER / "archive.sh"
        rules = ("--env", "PGHOST=db", "--env", "ARCHIVE_DAYS=7", "--env", "MOST_KEPT=1GB")
        words = (*USER, *rules, *self._mounts(program), "--entrypoint", "sh", IMAGE, "/program.sh")
        self._run("archive", *words)

    def recover(self, moment: datetime, system: str = "") -> str:
        """The state of `t` as of a moment, or why it cannot be had; `system` is the database that
        is there now (this one)."""
        system = system or self.sql(SYSTEM)
        docker("rm", "--force", "--volumes", f"{self.name}-recover", check=False)
        program = programs.FOLDER / "recover.sh"
        words = (*USER, *self._mounts(program), "--volume", "/tmp", "--entrypoint", "sh", IMAGE)
        named = (moments.as_key(moment), moments.as_text(moment), system)
        self._run("recover", *words, "/program.sh", *named)
        eventually(lambda: self._is_ready() or self._has_ended(), 60, "it is ready, or has ended")
        if self._has_ended():
            return docker("logs", f"{self.name}-recover").stderr.strip()
        return self.sql("select coalesce(sum(a), 0) from t", "recover", "--host", "/tmp")

    def sql(self, statement: str, where: str = "db", *flags: str) -> str:
        argv = ("psql", *flags, "--username", "app", "-XAtqc", statement)
        return docker("exec", f"{self.name}-{where}", *argv, check=False).stdout.strip()

    def copies(self) -> list[Path]:
        return sorted(self.folder.glob("*/base/*Z-*"), key=lambda path: path.name)

    def grow_older(self, days: float, *paths: Path) -> None:
        """Have these be so many days old, and all that lies in them."""
        then = time.time() - days * DAY
        for path in paths:
            for each in (*path.rglob("*"), path):
                os.utime(each, (then, then))

    def _run(self, role: str, *words: str) -> None:
        names = ("--name", f"{self.name}-{role}", "--network", self.name, "--network-alias", role)
        docker("run", "--detach", *names, *words)

    def _mounts(self, program: Path) -> list[str]:
        included = {programs.FOLDER / "follow.sh": "/follow.sh:ro"}
        paths = {program: "/program.sh:ro", self.password: "/run/secrets/sql_password:ro"}
        pairs = {**paths, **included, self.folder: "/archive"}
        return [w for path, there in pairs.items() for w in ("--volume", f"{path}:{there}")]

    def _is_ready(self) -> bool:
        argv = ("exec", f"{self.name}-recover", "test", "-e", "/tmp/ready")
        return not docker(*argv, check=False).returncode

    def _has_ended(self) -> bool:
        state = ("inspect", "--format", "{{.State.Running}}", f"{self.name}-recover")
        return docker(*state).stdout.strip() == "false"

    def remove(self, *roles: str) -> None:
        for role in roles:
            docker("rm", "--force", "--volumes", f"{self.name}-{role}", check=False)


@pytest.fixture(scope="module")
def followed(
    docker_runtime: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("followed")
    made = Followed(f"followed-{os.getpid()}", folder / "archive", folder / "password")
    made.folder.mkdir()
    made.password.write_text("secret")
    docker("network", "create", made.name)
    try:
        made.start_database()
        made.sql("create table t (a int)")
        made.start_archive()
        eventually(lambda: len(made.copies()) == 1, 60, "the first copy is made")
        yield made
    finally:
        made.remove("recover", "archive", "db")
        docker("network", "rm", made.name)
        subprocess.run(["chown", "-R", f"{os.getuid()}", made.folder], check=True)


def written(followed: Followed, number: int) -> datetime:
    """A row more, and a moment after it and before whatever comes next."""
    time.sleep(1)  # copies are named by the second
    followed.sql(f"insert into t values ({number})")
    time.sleep(0.2)
    moment = datetime.now(UTC)
    time.sleep(0.2)
    followed.marked()
    time.sleep(0.2)
    return moment


def test_each_moment_can_be_had_from_full_copies_and_what_differs(followed: Followed) -> None:
    first = written(followed, 1)
    followed.sql("checkpoint")  # a summary of changes begins with one
    followed.grow_older(2, *followed.copies())
    eventually(lambda: len(followed.copies()) == 2, 60, "a day later there is another copy")
    second = written(followed, 10)
    followed.sql("drop table t")
    assert [path.name.partition("-")[2] for path in followed.copies()] == ["full", "part"]
    assert followed.recover(second) == "11"
    assert followed.recover(first) == "1"
    early = datetime(2020, 1, 1, tzinfo=UTC)
    assert "the archive begins with 2" in followed.recover(early)


def test_the_database_is_killed_and_the_last_row_is_there(followed: Followed) -> None:
    followed.sql("create table t (a int)")
    followed.sql("insert into t values (7)")
    system = followed.sql(SYSTEM)
    time.sleep(0.2)
    docker("kill", f"{followed.name}-db")
    now = datetime.now(UTC)
    assert "it has a gap, or does not follow" in followed.recover(now, system)
    assert followed.recover(now, "another") == "7", "of one that is lost: all that arrived"
    docker("start", f"{followed.name}-db")
    eventually(lambda: followed.sql("select 1") == "1", 30, "the database answers")


def test_what_is_older_than_it_is_to_be_goes(followed: Followed) -> None:
    old = followed.copies()
    followed.grow_older(9, *old)
    eventually(lambda: len(followed.copies()) == 3, 60, "a full copy follows after a week")
    followed.grow_older(8, followed.copies()[-1])
    eventually(lambda: not set(old) & set(followed.copies()), 60, "nobody needs the oldest")
    assert followed.recover(written(followed, 1)) == "8"


def test_changes_that_the_database_has_removed_are_a_gap(followed: Followed) -> None:
    docker("stop", "--time", "5", f"{followed.name}-archive")
    assert "does not follow" in followed.recover(written(followed, 0))
    followed.sql("alter system set max_wal_size = '48MB'")
    followed.sql("alter system set max_slot_wal_keep_size = '16MB'")
    followed.sql("select pg_reload_conf()")
    for _ in range(8):
        followed.sql("insert into t select 0 from generate_series(1, 100000)")
        followed.sql("select pg_switch_wal()")
    followed.sql("checkpoint")
    assert followed.sql("select wal_status from pg_replication_slots") == "lost"
    within = written(followed, 100)
    before = len(followed.copies())
    docker("start", f"{followed.name}-archive")
    eventually(lambda: len(followed.copies()) > before, 60, "it begins anew")
    assert "it has a gap" in followed.recover(within)
    assert "the archive has a gap there" in followed.recover(within, "another")
    assert followed.recover(written(followed, 1000)) == "1108"


def test_another_database_takes_nothing_of_the_one_before(followed: Followed) -> None:
    last = written(followed, 10_000)
    before = len(followed.copies())
    followed.remove("db")
    followed.start_database()
    eventually(lambda: len(followed.copies()) > before, 60, "it is followed")
    assert followed.recover(last) == "11108"
