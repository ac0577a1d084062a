"""What the standby runs, beside a database and without any stack: copies, ends, who is ahead."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import needs_root
from stacks import Docker, docker, eventually

from djup.deploy import programs, standby_lag

IMAGE = "postgres:18-alpine"
USER = ("--env", "PGUSER=app", "--env", "PGDATABASE=app", "--env", f"POSTGRES_IMAGE={IMAGE}")

pytestmark = needs_root


@dataclass
class Pair:
    """A database and its standby, each with a folder, in a network of their own."""

    name: str
    folder: Path

    @property
    def copy(self) -> Path:
        """The folder of the standby's cluster."""
        return self.folder / "standby" / "18"

    def start_database(self, *arguments: str) -> None:
        keys = {"POSTGRES_PASSWORD": "sec:ret\\'", "POSTGRES_USER": "app", "POSTGRES_DB": "app"}
        env = [word for key, text in keys.items() for word in ("--env", f"{key}={text}")]
        data = ("--volume", f"{self.folder / 'db'}:/var/lib/postgresql")
        self._run("db", *env, *data, IMAGE, *arguments)
        eventually(lambda: self.sql("select 1") == "1", 30, "the database answers")

    def start_standby(self) -> None:
        paths = {
            programs.FOLDER / "standby.sh": "/standby.sh:ro",
            programs.FOLDER / "follow.sh": "/follow.sh:ro",
            self.folder / "password": "/run/secrets/sql_password:ro",
            self.folder / "standby": "/var/lib/postgresql",
        }
        mounts = [w for path, there in paths.items() for w in ("--volume", f"{path}:{there}")]
        way = ("--env", "PGHOST=db", "--env", "PGPORT=5432", "--env", "MOST_KEPT=1GB")
        self._run("standby", *USER, *way, *mounts, "--entrypoint", "sh", IMAGE, "/standby.sh")

    def sql(self, statement: str, where: str = "db") -> str:
        socket = () if where == "db" else ("--host", "/tmp")
        argv = ("psql", *socket, "--username", "app", "--dbname", "app", "-XAtqc", statement)
        return docker("exec", f"{self.name}-{where}", *argv, check=False).stdout.strip()

    def follows(self) -> None:
        eventually(lambda: self.lag().startswith("1|"), 60, "it follows")
        number = self.sql("insert into t select count(*) from t returning a")
        there = f"select count(*) from t where a = {number}"
        eventually(lambda: self.sql(there, "standby") == "1", 20, "it has the newest row")

    def lag(self) -> str:
        return self.sql(standby_lag.LAG)

    def said(self) -> str:
        return docker("logs", f"{self.name}-standby").stderr

    def asides(self) -> list[Path]:
        return [*self.copy.glob("main.aside.*")]

    def stop(self, *roles: str) -> None:
        for role in roles:
            docker("stop", f"{self.name}-{role}")

    def remove(self, *roles: str) -> None:
        for role in roles:
            docker("rm", "--force", "--volumes", f"{self.name}-{role}", check=False)

    def _run(self, role: str, *words: str) -> None:
        self.remove(role)
        names = ("--name", f"{self.name}-{role}", "--network", self.name, "--network-alias", role)
        docker("run", "--detach", *names, *words)


@pytest.fixture(scope="module")
def pair(docker_runtime: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(f"pair-{os.getpid()}", tmp_path_factory.mktemp("pair"))
    (made.folder / "password").write_text("sec:ret\\'")
    docker("network", "create", made.name)
    try:
        made.start_database()
        made.sql("create table t (a int)")
        of_before = made.folder / "standby/17/main/PG_VERSION"
        of_before.parent.mkdir(parents=True)
        of_before.write_text("17\n")
        made.start_standby()
        made.follows()
        yield made
    finally:
        made.remove("standby", "db")
        docker("network", "rm", made.name)
        subprocess.run(["chown", "-R", f"{os.getuid()}", made.folder], check=True)


def test_no_secret_lies_in_its_files(pair: Pair) -> None:
    found = [path for path in pair.copy.rglob("*.conf") if "sec:ret" in path.read_text()]
    assert (pair.copy / "main/standby.signal").exists() and not found


def test_which_of_two_versions_is_in_use_is_not_to_be_guessed(pair: Pair) -> None:
    assert (pair.folder / "standby/active").read_text() == "18\n"
    assert (pair.folder / "standby/17/main/PG_VERSION").exists()


def test_a_copy_that_is_being_made_does_not_follow(pair: Pair) -> None:
    """Whoever would take it for one that follows would stop the database in the midst of it."""
    pair.stop("standby")
    slow = ("pg_basebackup", "--pgdata", "/tmp/slow", "--max-rate", "1M", "--username", "app")
    docker("exec", "--detach", "--env", "PGAPPNAME=standby-copy", f"{pair.name}-db", *slow)
    eventually(lambda: pair.lag().split("|")[3] not in ("", "-1"), 20, "it is told how far it is")
    assert pair.lag().startswith("0|")
    docker("exec", f"{pair.name}-db", "pkill", "pg_basebackup")
    docker("start", f"{pair.name}-standby")
    pair.follows()


def test_one_that_is_killed_while_it_copies_begins_again(pair: Pair) -> None:
    """And the service db finds nothing there that it would take for a first start of its own."""
    pair.sql("create table filled as select generate_series(1, 2000000) as n")
    pair.stop("standby")
    (pair.copy / "main/PG_VERSION").unlink()  # such a server does not start
    docker("start", f"{pair.name}-standby")
    deadline = time.monotonic() + 120
    while not (pair.copy / "copying").exists():
        assert time.monotonic() < deadline, pair.said()
        time.sleep(0.02)
    docker("kill", "--signal", "KILL", f"{pair.name}-standby")
    assert not (pair.copy / "unfinished").exists()
    docker("start", f"{pair.name}-standby")
    pair.follows()
    pair.sql("drop table filled")
    assert not (pair.copy / "copying").exists() and not pair.asides()


def test_a_database_with_more_connections_is_followed(pair: Pair) -> None:
    pair.stop("db")
    pair.start_database("-c", "max_connections=150")
    pair.follows()
    assert pair.sql("show max_connections", "standby") == "150"


def test_a_promoted_one_whose_database_leads_again_is_made_again(pair: Pair) -> None:
    pair.sql("select pg_promote()", "standby")
    assert pair.sql("select pg_is_in_recovery()", "standby") == "f"
    eventually(lambda: len(pair.asides()) == 1, 60, "what it had is put aside")
    pair.follows()


def test_one_that_is_ahead_of_its_database_is_kept(pair: Pair) -> None:
    """The database was put back from an older copy of its disk: only the standby has the rest."""
    before = len(pair.asides())
    pair.stop("standby")
    pair.stop("db")
    older, newer = pair.folder / "db", pair.folder / "newer"
    subprocess.run(["cp", "-a", older, pair.folder / "older"], check=True)
    docker("start", f"{pair.name}-db")
    eventually(lambda: pair.sql("select 1") == "1", 30, "the database answers")
    docker("start", f"{pair.name}-standby")
    pair.follows()
    pair.sql("create table rest as select generate_series(1, 100000) as n")
    pair.follows()
    pair.stop("db")
    older.rename(newer)
    (pair.folder / "older").rename(older)
    pair.start_database()
    eventually(lambda: len(pair.asides()) > before, 40, "what is ahead is kept")
    pair.follows()


def test_another_database_is_not_followed(pair: Pair) -> None:
    """An empty one, as on a disk that was replaced: the copy is what is left."""
    there = pair.sql("select count(*) from t", "standby")
    pair.stop("db")
    (pair.folder / "db").rename(pair.folder / "lost")
    pair.start_database()
    eventually(lambda: "is another one" in pair.said(), 60, "it says so")
    time.sleep(1)
    assert pair.sql("select count(*) from t", "standby") == there
    assert (pair.copy / "main/standby.signal").exists()
