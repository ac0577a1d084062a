"""What `inv doctor` sees of the checkout's files by itself."""

import os
import pwd
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from machine import needs_root

from djup.checkout import manifest
from djup.doctor.checks import files
from djup.doctor.finding import Finding

OURS = os.geteuid()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    (folder / "requirements").mkdir(parents=True)
    lock(folder, "base", "Django>=5.2\n", "django==5.2.19 \\\n    --hash=sha256:0\n")
    monkeypatch.setattr(files, "ROOT", folder)
    monkeypatch.setattr(files, "REQUIREMENTS", folder / "requirements")
    monkeypatch.setattr(files, "STATE", folder / ".state")
    return folder


def lock(folder: Path, name: str, named: str, locked: str | None) -> None:
    (folder / "requirements" / f"{name}.in").write_text(named)
    if locked is not None:
        (folder / "requirements" / f"{name}.txt").write_text(locked)


def finding(subject: str) -> Finding:
    [found] = [it for it in files.check() if it.subject == subject]
    return found


def test_nothing_wrong_and_each_check_says_what_it_saw() -> None:
    found = files.check()
    assert [it.subject for it in found] == ["files", "tasks", "requirements", "disk"]
    assert not [it for it in found if it.problem or it.fix]
    assert found[0].fact == f"all 3 belong to {pwd.getpwuid(OURS).pw_name}"
    assert found[2].fact == "the 1 locks are complete"
    assert found[3].fact.endswith(" GB free")


def test_the_files_of_the_toolkit_that_were_edited_are_named(here: Path) -> None:
    texts = {"inv": "#!/bin/sh\n", "compose/web.yaml": "services:\n", "compose/db.yaml": "gone\n"}
    (here / "compose").mkdir()
    for path in ("inv", "compose/web.yaml"):
        (here / path).write_text(texts[path])
    (here / manifest.NAME).write_text(manifest.of_texts("1.2", texts).as_text())
    assert finding("toolkit").fact == "djup 1.2, no file of it is edited"
    (here / "compose/web.yaml").write_text("services: {}\n")
    assert finding("toolkit") == Finding("toolkit", "djup 1.2, edited here: compose/web.yaml")
    (here / manifest.NAME).write_text("{")
    assert "toolkit" not in [it.subject for it in files.check()]


def test_this_very_checkout_has_its_locks_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert finding("requirements").problem is None


def test_tasks_that_cannot_be_run_and_one_at_work(here: Path) -> None:
    (here / ".state" / "lock").mkdir(parents=True)
    found = finding("tasks")
    assert found.problem and str(here / ".state" / "lock") in found.problem.what
    (here / ".state" / "lock").rmdir()
    (here / ".state" / "lock").write_text("inv up, process 1")
    assert not finding("tasks").problem
    assert (here / ".state" / "lock").read_text() == "inv up, process 1"


# Owners


def foreign(path: Path, uid: int = 4321) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.chown(path, uid, uid)
    return path


@needs_root
def test_files_of_another_are_counted_and_given_back(here: Path) -> None:
    paths = [foreign(here / "project" / name) for name in "hgfedcba"]
    found = finding("files")
    assert found.problem
    assert found.problem.code == "SYS05"
    assert "8 files" in str(found.problem)
    assert "user 4321 (project/a)" in str(found.problem)
    assert "sudo ./inv doctor --fix" in found.problem.fix
    assert found.fact.startswith("8 of ")
    assert found.fix
    found.fix.run()
    assert {(it.stat().st_uid, it.stat().st_gid) for it in paths} == {(OURS, here.stat().st_gid)}
    assert finding("files").problem is None


@needs_root
def test_by_name_where_there_is_one(here: Path) -> None:
    foreign(here / "a", pwd.getpwnam("nobody").pw_uid)
    assert "belong to nobody (a)" in str(finding("files").problem)


@needs_root
def test_a_folder_counts_like_a_file(here: Path) -> None:
    (here / "media").mkdir()
    os.chown(here / "media", 4321, 4321)
    assert "(media)" in str(finding("files").problem)


@needs_root
@pytest.mark.parametrize(
    "folder", [".git", ".venv", ".data", ".state", "node_modules", "__pycache__"]
)
def test_folders_that_nobody_edits_are_not_looked_into(here: Path, folder: str) -> None:
    foreign(here / folder / "x")
    foreign(here / "project" / folder / "x")
    assert finding("files").problem is None


@needs_root
def test_the_owner_is_who_owns_the_folder_not_who_looks(here: Path) -> None:
    for path in (here, *here.rglob("*")):
        os.chown(path, 4321, 4321)
    assert finding("files").fact == "all 3 belong to user 4321"


@needs_root
def test_a_link_is_given_back_and_not_what_it_leads_to(here: Path, tmp_path: Path) -> None:
    outside = foreign(tmp_path / "outside" / "file")
    for name, target in (("file", outside), ("folder", outside.parent)):
        (here / name).symlink_to(target)
        os.chown(here / name, 4321, 4321, follow_symlinks=False)
    found = finding("files")
    assert found.fact.startswith("2 of ")
    assert found.fix
    found.fix.run()
    assert finding("files").problem is None
    assert outside.stat().st_uid == 4321


@needs_root
def test_a_file_that_went_meanwhile_does_not_stop_the_fix(here: Path) -> None:
    gone, stays = foreign(here / "a"), foreign(here / "b")
    found = finding("files")
    gone.unlink()
    assert found.fix
    found.fix.run()
    assert stays.stat().st_uid == OURS


@needs_root
def test_no_fix_but_for_root(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(here / "a")
    monkeypatch.setattr(os, "geteuid", lambda: 1235)
    assert finding("files").problem
    assert finding("files").fix is None


# Locks


@pytest.mark.parametrize(
    "line",
    [
        *(
            "requests",
            "requests>=2",
            "requests ~= 2.0  # a; b",
            "Requests[socks]==2.1",
            "  requests",
        ),
        *("requests # why", "requests#why", "requests @ https://example.com/requests.whl"),
        *("requests!=2,>1", "requests<3", "requests (>2)"),
    ],
)
def test_a_package_that_the_lock_does_not_have(here: Path, line: str) -> None:
    lock(here, "base", f"Django\n{line}\n", "django==5.2 \\\n    --hash=sha256:0\n")
    found = finding("requirements")
    assert found.problem
    assert found.problem.code == "PKG02"
    assert "not in the lock yet: requests." in str(found.problem)
    assert found.fix is None


@pytest.mark.parametrize(
    "line",
    [
        *("", "# requests", "   # requests", "-r base.in", "-c base.txt", "--no-binary :all:"),
        *("https://example.com/requests.whl", "./requests.whl"),
        'tomli ; python_version < "3.11"',
        'tomli>=2; python_version < "3.11"  # not for us',
    ],
)
def test_no_package_that_a_lock_has_to_have(here: Path, line: str) -> None:
    lock(here, "base", f"Django\n{line}\n", "django==5.2\n")
    assert finding("requirements").problem is None


def test_a_requirement_that_has_no_hash(here: Path) -> None:
    lock(here, "base", "Django\ngit+https://example.com/requests\n", "django==5.2\n")
    problem = finding("requirements").problem
    assert problem and problem.code == "PKG03" and "base.in line 2" in problem.what


@pytest.mark.parametrize(
    ("named", "locked"),
    [
        ("Ruamel_Yaml.clib", "ruamel-yaml-clib==1 \\"),
        ("psycopg[binary]>=3", "psycopg[binary]==3.2 \\"),
        ("numpy", "numpy==2.1 ; python_full_version < '3.12' \\"),
        ("shop @ https://x/y.whl", "shop @ https://x/y.whl \\"),
    ],
)
def test_spellings_that_are_the_same(here: Path, named: str, locked: str) -> None:
    lock(here, "base", f"{named}\n", f"{locked}\n    --hash=sha256:0\n    # via -r base.in\n")
    assert finding("requirements").problem is None


def test_a_package_that_only_a_comment_of_the_lock_names(here: Path) -> None:
    lock(here, "base", "requests\n", "urllib3==2 \\\n    --hash=sha256:0\n    # via requests\n")
    assert finding("requirements").problem


def test_several_locks_each_by_itself_and_every_name_once(here: Path) -> None:
    lock(here, "lint", "-r base.in\nruff\nmypy\n", "django==5.2\nmypy==1\n")
    lock(here, "test", "ruff\npytest\n", None)
    found = finding("requirements")
    assert "not in the lock yet: ruff, pytest." in str(found.problem)
    assert found.fact == "2 not in the lock yet"


def test_the_time_of_a_file_is_no_sign(here: Path) -> None:
    os.utime(here / "requirements" / "base.txt", (0, 0))
    assert finding("requirements").problem is None


# The disk


@pytest.mark.parametrize(("free", "full"), [(199 * 10**6, True), (200 * 10**6, False)])
def test_space(monkeypatch: pytest.MonkeyPatch, here: Path, free: int, full: bool) -> None:
    usage, asked = namedtuple("usage", "total used free"), []
    monkeypatch.setattr(shutil, "disk_usage", lambda at: asked.append(at) or usage(0, 0, free))
    found = finding("disk")
    assert found.fact == "0.2 GB free"
    assert [it.code for it in (found.problem,) if it] == ["SYS02"] * full
    assert asked == [here]
