"""After one `sudo ./inv ...`: whose the files are, what takes them back, and what it gives back."""

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
from machine import needs_root
from toolkit import Done, Toolkit

pytestmark = needs_root
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def theirs(toolkit: Toolkit) -> Toolkit:
    """A checkout of an ordinary user's, in which a task ran once."""
    (toolkit.root / ".state").mkdir(mode=0o700)
    (toolkit.root / ".state" / "lock").touch()
    for path in (toolkit.root, *toolkit.root.rglob("*")):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    (toolkit.home / "calls").touch(0o666)
    toolkit.home.chmod(0o777)
    (toolkit.home / "calls").chmod(0o666)
    return toolkit


def as_user(toolkit: Toolkit, *typed: str) -> Done:
    """`./inv typed` as the user, who can read all there is, and write only what is theirs."""
    who = (f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups")
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    argv = ["setpriv", *who, *may_read, toolkit.root / "inv", *typed]
    done = subprocess.run(argv, cwd=toolkit.root, env=toolkit.env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_what_root_has_made_is_given_to_the_owner_of_the_folder(theirs: Toolkit) -> None:
    shutil.rmtree(theirs.root / ".state")
    theirs.inv("down")  # by root
    made = [theirs.root / ".state", *(theirs.root / ".state").iterdir()]
    assert {path.stat().st_uid for path in made} == {NOBODY.pw_uid}
    assert as_user(theirs, "down").code == 0


def test_files_of_root_are_said_to_be_that_and_taken_back(theirs: Toolkit) -> None:
    state = theirs.root / ".state"
    for path in (state, state / "lock"):
        os.chown(path, 0, 0)
    for task in ("up", "down"):
        done = as_user(theirs, task)
        assert done.code == 1 and "error SYS06: " in done.err and "belongs to root" in done.err
        assert f'sudo ./inv down  then: sudo chown -R "$(id -u):$(id -g)" {state}' in done.err
    assert_doctor_finds(theirs, "SYS06")
    for path in (state, state / "lock"):  # as it says
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    assert as_user(theirs, "down").code == 0
    assert "SYS06" not in as_user(theirs, "doctor", "--json").out


def assert_doctor_finds(toolkit: Toolkit, code: str) -> None:
    """It runs in every state, and looks at the rest as well."""
    found = json.loads(as_user(toolkit, "doctor", "--json").out)
    assert code in {one["code"] for one in found} and len(found) > 3
    assert "requirements" in {one["check"] for one in found}


def test_an_env_of_root(theirs: Toolkit) -> None:
    env = theirs.root / ".env"
    env.chmod(0o600)
    os.chown(env, 0, 0)
    done = as_user(theirs, "doctor", "--json")
    assert "SYS05" in done.out and "sudo ./inv doctor --fix" in done.out
    theirs.inv("doctor", "--fix")
    assert Path(env).stat().st_uid == NOBODY.pw_uid
