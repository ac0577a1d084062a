"""The engine itself is killed in the midst of a task: a suite of its own, since every stack ends.

Only where ENGINE_START names the command that starts it again.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from stacks import Checkout, docker, eventually

START = os.environ.get("ENGINE_START", "")
PID = Path("/var/run/docker.pid")
pytestmark = pytest.mark.skipif(not START, reason="ENGINE_START is not set")

pytestmark = pytest.mark.runtime("docker")
SLOW = "create table half (a int);\nselect pg_sleep(60);\ninsert into half values (1);\n"
LOCK = "begin; lock table kept in access exclusive mode; select pg_sleep(60);"


def test_in_a_backup(kept: Checkout) -> None:
    kept.inv("up")
    before = kept.inv("db.backups", "--json").stdout
    kept.start("psql", "--", "-c", LOCK)
    eventually(lambda: asleep(kept), 10, "the table is held, so that the dump waits")
    task = kept.start("db.backup")
    eventually(lambda: list((kept.root / "backups").glob("*.part")) != [], 10, "it dumps")
    kill_engine()
    assert_ends(task)
    restart_engine()
    kept.inv("up")
    kept.assert_kept()
    assert kept.inv("db.backups", "--json").stdout == before
    kept.inv("db.backup", "--verify")
    assert not list((kept.root / "backups").glob("*.part"))


def test_in_a_restore(kept: Checkout) -> None:
    kept.inv("up")
    (kept.root / "slow.sql").write_text(SLOW)
    task = kept.start("db.restore", "slow.sql")
    eventually(lambda: asleep(kept), 20, "it restores")
    kill_engine()
    assert_ends(task)
    restart_engine()
    kept.inv("up")
    kept.assert_kept()
    assert "part-" not in kept.inv("db.snapshots", "--json").stdout
    kept.inv("db.snapshot", "--name", "after")
    kept.inv("db.restore", "after")
    kept.assert_kept()


def asleep(kept: Checkout) -> bool:
    question = "from pg_stat_activity where wait_event = 'PgSleep'"
    return kept.sql(f"select count(*) {question}") == "1"


def kill_engine() -> None:
    os.kill(int(PID.read_text()), signal.SIGKILL)


def restart_engine() -> None:
    subprocess.run([START], check=True, capture_output=True, timeout=180)
    eventually(lambda: docker("version", check=False).returncode == 0, 60, "the engine answers")


def assert_ends(task: "subprocess.Popen[str]") -> None:
    _, said = task.communicate(timeout=60)
    assert task.returncode not in (0, None), said
    assert "Traceback" not in said and "error " in said
