"""What becomes of the embedded runtime when processes are killed, numbers reused, disks full."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from machine import needs_root
from stacks import OUTSIDE, Checkout, Embedded, Make, eventually, is_alive, maker

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def make(reachable_make: Make) -> Make:
    return reachable_make


@pytest.fixture(scope="module")
def kept(make: Make, embedded_runtime: Embedded) -> Checkout:
    stack = make(embedded_runtime, name="it's kept")
    stack.inv("up")
    stack.sql("create table kept as select 'kept' as text")
    return stack


@pytest.fixture
def stack(kept: Checkout) -> Checkout:
    kept.inv("up")
    return kept


def number(stack: Checkout, name: str) -> int:
    return int((stack.root / ".state" / f"{name}.lock").read_text())


def kill(stack: Checkout, *names: str) -> None:
    for name in names:
        os.kill(number(stack, name), signal.SIGKILL)


def test_data_lie_in_the_checkout_closed_to_others(stack: Checkout) -> None:
    data = stack.root / ".data"
    assert (data / "18" / "main" / "PG_VERSION").exists()
    assert data.stat().st_mode & 0o077 == 0
    assert (data / "socket").stat().st_mode & 0o077 == 0
    assert (data.stat().st_uid == 0) is False, "root runs no server"


@pytest.mark.parametrize("names", [("db",), ("web",), ("db", "web")])
def test_up_recovers_from_killed_processes(stack: Checkout, names: tuple[str, ...]) -> None:
    kill(stack, *names)
    stack.inv("up")
    assert stack.get("readyz")[0] == 200
    assert stack.sql("select text from kept") == "kept"


def test_a_killed_web_leaves_nothing_on_the_port(stack: Checkout) -> None:
    kill(stack, "web")
    eventually(lambda: stack.get()[0] == 0, 5, "its server ends with it")


def test_a_killed_database_is_seen(stack: Checkout) -> None:
    kill(stack, "db")
    eventually(lambda: stack.get("readyz")[0] == 503, 10, "/readyz says so")
    assert "db" in stack.inv("psql", "--", "-c", "select 1", code=1).stderr


def test_numbers_of_before_a_reboot_are_never_signalled(stack: Checkout) -> None:
    stack.inv("down")
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        note = stack.root / ".data" / "18" / "main" / "postmaster.pid"
        note.write_text(f"{bystander.pid}\n{note.parent}\n")
        shutil.chown(note, note.parent.stat().st_uid)
        for name in ("db", "web"):
            (stack.root / ".state" / f"{name}.lock").write_text(str(bystander.pid))
        stack.inv("down")
        stack.inv("up")
        stack.inv("down")
        assert is_alive(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()
    stack.inv("up")
    assert stack.sql("select text from kept") == "kept"


def test_a_second_up_changes_nothing_and_another_env_starts_the_web_anew(stack: Checkout) -> None:
    db, web = number(stack, "db"), number(stack, "web")
    stack.inv("up")
    assert (number(stack, "db"), number(stack, "web")) == (db, web)
    stack.set("MAIL_HOST", "mail.example.org")
    stack.inv("up")
    assert number(stack, "db") == db and number(stack, "web") != web
    code = "import os; print(os.environ['MAIL_HOST'])"
    assert "mail.example.org" in stack.inv("manage", "--", "shell", "-c", code).stdout


def test_dry_down_and_nuke_stop_nothing(stack: Checkout) -> None:
    for typed in (["down"], ["nuke", "--yes"]):
        shown = stack.inv("--dry", *typed)
        assert stack.get("readyz")[0] == 200
    stack.inv("--dry", "up", "--runtime", "docker", code=None)
    assert stack.values["RUNTIME"] == "embedded" and stack.get("readyz")[0] == 200
    assert f"kill -INT {number(stack, 'db')}" in stack.inv("--dry", "down").stderr, shown.stderr


def test_what_is_exported_leads_nowhere_else(stack: Checkout, tmp_path: Path) -> None:
    service = tmp_path / "services"
    service.write_text("[elsewhere]\nhost=127.0.0.1\nport=1\n")
    misleading = {
        "PGSERVICEFILE": str(service),
        "PGSERVICE": "elsewhere",
        "PGHOSTADDR": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "no.such.settings",
    }
    os.environ.update(misleading)
    try:
        assert stack.sql("select text from kept") == "kept"
        assert "no issues" in stack.inv("manage", "--", "check").stdout
    finally:
        for key in misleading:
            del os.environ[key]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_first_up_that_is_ended_leaves_no_password(
    make: Make, embedded_runtime: Embedded, signum: signal.Signals
) -> None:
    stack = make(embedded_runtime, name="ended")
    started = stack.start("up")
    eventually(lambda: (stack.root / ".data").exists(), 10, "it has begun")
    os.kill(started.pid, signum)
    started.wait(30)
    stack.inv("up")
    assert stack.get()[0] == 200
    assert list((stack.root / ".data").glob("password-*")) == []


def test_a_syntax_error_at_the_start_is_shown(stack: Checkout) -> None:
    stack.inv("down")
    before = stack.write("project/config/settings.py", "def (\n")
    refused = stack.inv("up", code=1)
    assert "SyntaxError" in refused.stderr and "WEB02" in refused.stderr
    stack.write("project/config/settings.py", before)
    stack.inv("up")


def test_a_port_that_another_checkout_has(stack: Checkout, make: Make) -> None:
    other = make(stack.runtime, name="other", WEB_PORT=stack.values["WEB_PORT"])
    refused = other.inv("up", code=1)
    assert "NET01" in refused.stderr and "inv up --port" in refused.stderr
    assert stack.get()[0] == 200


def test_a_data_folder_of_another_version(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="older")
    older = stack.root / ".data" / "17" / "main"
    older.mkdir(parents=True)
    (older / "PG_VERSION").write_text("17\n")
    refused = stack.inv("up", code=1)
    assert "EMB02" in refused.stderr and "17" in refused.stderr
    assert [path.name for path in (stack.root / ".data").iterdir()] == ["17"]


def test_a_copied_folder_has_the_rows_and_its_own_server(stack: Checkout, make: Make) -> None:
    stack.inv("down")
    copy = make(stack.runtime, name="copy", WEB_PORT="8977")
    if AS_ROOT:
        subprocess.run(["cp", "-a", stack.root / ".data", copy.root / ".data"], check=True)
    else:
        shutil.copytree(stack.root / ".data", copy.root / ".data")
    copy.set("SQL_PASSWORD", stack.values["SQL_PASSWORD"])
    stack.inv("up")
    copy.inv("up")
    copy.sql("update kept set text = 'copied'")
    assert stack.sql("select text from kept") == "kept"
    copy.inv("nuke", "--yes", "--no-backup")
    assert stack.sql("select text from kept") == "kept"


@needs_root
def test_a_full_disk_at_the_first_start(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="full")
    data = stack.root / ".data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", data], check=True)
    try:
        shutil.chown(data, "nobody")
        refused = stack.inv("up", code=1)
        assert "SYS02" in refused.stderr and "space" in refused.stderr
    finally:
        subprocess.run(["umount", data], check=True)
    shutil.chown(data, "nobody")
    data.chmod(0o700)
    stack.inv("up")


def test_ctrl_c_in_the_middle_of_the_first_up(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="interrupted")
    for _ in range(3):
        started = stack.start("up")
        eventually(lambda: (stack.root / ".data").exists(), 10, "it has begun")
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(30) in (0, 130, -signal.SIGINT)  # the last: the launcher itself
    stack.inv("up")
    assert stack.get()[0] == 200


def test_a_nuke_that_is_killed_while_it_removes(make: Make, embedded_runtime: Embedded) -> None:
    """What is left of the data looks like none, and goes with the next start."""
    stack = make(embedded_runtime, name="half removed")
    stack.inv("up")
    data = stack.root / ".data" / "18" / "main"
    (data / "many").mkdir()
    for name in range(20_000):
        (data / "many" / str(name)).touch()
    nuke = stack.start("nuke", "--yes", "--no-backup")
    while data.exists():
        assert nuke.poll() is None
    nuke.kill()
    nuke.communicate()
    assert list(data.parent.glob("main.part*")), "it was killed in the middle"
    stack.inv("up")
    assert stack.get()[0] == 200
    assert list(data.parent.iterdir()) == [data]


def test_a_long_path_has_its_socket_elsewhere(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="long-" + "x" * 110)
    stack.inv("up")
    assert stack.sql("select 1") == "1"
    stack.inv("nuke", "--yes", "--no-backup")
    assert stack.runtime.leftovers(stack.root) == {}


@needs_root
def test_a_closed_checkout_of_root_and_what_a_nuke_leaves_of_it(
    embedded_runtime: Embedded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server's programs and data are outside then, and open to it whatever root's umask."""
    with maker(tmp_path_factory.mktemp) as new:  # a folder of pytest's own is closed
        stack = new(embedded_runtime, name="closed")
        before = os.umask(0o077)
        try:
            stack.inv("up")
            stack.keep()
        finally:
            os.umask(before)
        copies = "binaries-closed*"
        assert len(list(OUTSIDE.glob(copies))) == 1 and (OUTSIDE / stack.project).exists()
        moved = Checkout(stack.root.rename(stack.root.with_name("closed2")), stack.runtime)
        try:
            moved.inv("up")  # the data are named by the path, and follow
            moved.assert_kept()
            moved.inv("down")
        finally:
            moved.root.rename(stack.root)
        stack.inv("up")
        stack.assert_kept()
        stack.inv("nuke", "--yes", "--no-backup")
        assert list(OUTSIDE.glob(copies)) == []
        assert not (OUTSIDE / stack.project).exists()


def test_switch_without_an_engine_changes_nothing(stack: Checkout) -> None:
    env = (stack.root / ".env").read_bytes()
    os.environ["DOCKER_HOST"] = "unix:///no/such/socket"
    try:
        refused = stack.inv("up", "--runtime", "docker", code=1)
    finally:
        del os.environ["DOCKER_HOST"]
    assert "DOCKER0" in refused.stderr
    assert (stack.root / ".env").read_bytes() == env
    assert stack.get()[0] == 200
