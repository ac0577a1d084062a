"""A managed server that is older than the programs here: backed up, verified, restored."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from stacks import Checkout
from tls import AUTHORITY, PASSWORD, PROGRAMS, Elsewhere, older

NAME, OWNER = "shop", "shop"  # who may make databases, and is no superuser, as with the hosts
ROWS = "select string_agg(t, ',' order by t) from rows"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    if not PROGRAMS or not shutil.which("openssl"):
        pytest.skip("no PostgreSQL before 17; run: sudo apt-get install postgresql-15 openssl")
    with older(tmp_path_factory.mktemp("older")) as running:
        password = PASSWORD.replace("'", "''")
        running.sql(f"create role {OWNER} login createdb password '{password}'")
        running.sql(f"create database {NAME} owner {OWNER}")
        yield running


@pytest.fixture
def stack(stack: Checkout, server: Elsewhere) -> Iterator[Checkout]:
    certificates = (stack.root / "project" / AUTHORITY).parent
    certificates.mkdir()
    stack.write(f"project/{AUTHORITY}", server.authority.certificate)
    yield stack
    shutil.rmtree(certificates)


def restore(stack: Checkout, which: str, host: str) -> None:
    """At a terminal, where the host's name is asked for."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{host}\n".encode())
    done = subprocess.run(
        [stack.root / "inv", "db.restore", which],
        cwd=stack.root,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=240,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr


def test_backup_and_restore(stack: Checkout, server: Elsewhere) -> None:
    for key, value in server.settings(user=OWNER, database=NAME).items():
        stack.set(key, value)
    stack.inv("up")
    stack.sql("create table rows as select 'here' as t")
    backup = stack.inv("db.backup", "--verify").stdout.strip()
    assert stack.backups()[0]["verified"]
    stack.sql("insert into rows values ('later')")
    stack.inv("db.snapshot", "--name", "later")
    restore(stack, backup, server.host)
    assert stack.sql(ROWS) == "here"
    stack.inv("undo")
    assert stack.sql(ROWS) == "here,later"
    restore(stack, "later", server.host)
    assert stack.sql(ROWS) == "here,later" and stack.get("readyz")[0] == 200
    assert stack.found_by_doctor() == set()
