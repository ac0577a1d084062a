"""Root has worked in the checkout of an ordinary user, who then goes on without it."""

import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machine import needs_root
from stacks import Checkout, Embedded, Make, Prefixed

from djup import ROOT

USER = "daemon"  # has a name, for which PostgreSQL asks, and is not whom root's servers run as
IDS = '"$(id -u):$(id -g)"'

pytestmark = needs_root


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """This Python and the packages, where every account can run them."""
    own = Path(tempfile.mkdtemp(prefix="python-"))
    own.chmod(0o755)
    with seen_at(Path(sys.base_prefix), own / "python"), seen_at(ROOT / ".venv/lib", own / "lib"):
        yield own
    own.rmdir()


@contextmanager
def seen_at(folder: Path, place: Path) -> Iterator[None]:
    """Read-only, so that nothing can be removed through it."""
    place.mkdir()
    for options in (["--bind", folder], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


@pytest.fixture(scope="module")
def roots(make: Make, embedded_runtime: Embedded, python: Path) -> Checkout:
    """A checkout in which root has started the stack."""
    stack = make(embedded_runtime, name="theirs")
    venv = stack.root / ".venv"
    program = Path("bin", Path(sys.executable).resolve().name)
    links = {venv / "lib": python / "lib", venv / "bin/python": python / "python" / program}
    for link, target in links.items():
        link.unlink()
        link.symlink_to(target)
    config = (venv / "pyvenv.cfg").read_text()
    (venv / "pyvenv.cfg").write_text(config.replace(sys.base_prefix, str(python / "python")))
    stack.inv("up")
    stack.keep()
    return stack


@pytest.fixture(scope="module")
def theirs(roots: Checkout, python: Path) -> Checkout:
    """It, as the user has it from then on: all but the data is theirs."""
    found = pwd.getpwnam(USER)
    who = (f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups")
    libraries = f"LD_LIBRARY_PATH={python / 'python/lib'}"  # a shared one is named by its path
    os.chown(roots.root, found.pw_uid, found.pw_gid)
    for path in roots.root.iterdir():
        if path.name != ".data":
            give(str(path))
    return Prefixed(roots, "setpriv", *who, "env", "HOME=/nonexistent", libraries)


def give(*paths: str) -> None:
    """What the user types after `sudo`."""
    subprocess.run(["chown", "-R", f"{USER}:", *paths], check=True)


def give_as_shown(said: str) -> None:
    shown = re.search(rf"sudo chown -R {re.escape(IDS)} (.+?)  then", said)
    assert shown, said
    give(*shown[1].split())


@pytest.mark.fault("SYS08", "embedded")
@pytest.mark.fault("SYS06", "embedded")
def test_a_stack_that_root_has_started(roots: Checkout, theirs: Checkout) -> None:
    assert theirs.inv("up").stdout == f"{theirs.url}\n", "it serves, and there is nothing to do"
    theirs.set("MAIL_HOST", "mail.example.org")
    for typed in (("up",), ("psql", "--", "-c", "select 1")):
        said = theirs.refused("SYS08", *typed)
        assert "runs as nobody" in said and "sudo ./inv down  then: ./inv up" in said
    down = theirs.inv("down", code=1).stderr
    assert "error SYS08: web" in down and "runs as root" in down
    assert "SYS08" in theirs.found_by_doctor()
    roots.inv("down")
    said = theirs.refused("SYS06")
    assert f"{theirs.root}/.data belongs to nobody" in said
    assert theirs.found_by_doctor() == {"SYS06"}
    give_as_shown(said)
    theirs.inv("up")
    theirs.assert_kept()
    assert theirs.found_by_doctor() == set()


@pytest.mark.fault("SYS06", "embedded")
def test_a_task_of_root_that_was_killed(roots: Checkout, theirs: Checkout) -> None:
    """It could not give back what it had made."""
    theirs.inv("down")
    state = roots.root / ".state"
    shutil.rmtree(state)
    killed = roots.start("up")
    while not (state / "lock").exists():
        assert killed.poll() is None
        time.sleep(0.001)  # it has little to do, and gives all back at its end
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and state.stat().st_uid == 0
    for typed in ("up", "down", "status"):
        said = theirs.refused("SYS06", typed)
        assert f"{state} belongs to root" in said and "sudo ./inv down  then: sudo chown" in said
    assert theirs.found_by_doctor() == {"SYS06"}
    roots.inv("down")
    give_as_shown(said)
    theirs.inv("up")
    theirs.assert_kept()


@pytest.mark.fault("SYS01", "embedded")
def test_a_file_that_is_closed_to_its_owner(theirs: Checkout) -> None:
    lock = theirs.root / ".state" / "lock"
    lock.chmod(0)
    said = theirs.refused("SYS01", "down")
    assert f"Permission denied ({lock})" in said
    assert theirs.found_by_doctor() == {"SYS01"}
    shown = re.search(r"  fix: (chmod .+), then", said)
    assert shown, said
    subprocess.run(shlex.split(shown[1]), check=True)
    assert theirs.found_by_doctor() == set()
    theirs.inv("up")
    theirs.assert_kept()
