"""Git that refuses to read the repository, is not there, or has not fetched what is deployed.

Each is refused before anything is built, so the checkout is never up; once it is fixed, `--plan`
deploys nothing.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from machine import git, needs_root, path_without
from stacks import Checkout, Make, Runtime

DEPLOY = ("deploy", "--local", "--plan")
CONTENT = b"a picture"
OID = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n"
CONFIG = """\
[user]
name = me
email = me@example.org
[protocol "file"]
allow = always
"""
# As `git lfs install` writes it.
FILTER = """\
[filter "lfs"]
process = git-lfs filter-process
required = true
clean = git-lfs clean -- %f
smudge = git-lfs smudge -- %f
"""


def commit(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Change")


@pytest.fixture(scope="module")
def repository(make: Make, runtime: Runtime) -> Checkout:
    """A checkout that is a repository."""
    stack = make(runtime, name="repository")
    git(stack.root, "init", "--quiet")
    return stack


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings of git; those of this machine may trust any folder, or have LFS."""
    file = tmp_path / "gitconfig"
    file.write_text(CONFIG)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return file


@pytest.fixture
def stack(repository: Checkout, settings: Path) -> Checkout:
    """It, with all in a commit, and nothing to say about it."""
    commit(repository.root, stamp=str(settings))
    return repository


def shown(said: str) -> str:
    """Return the command that fixes it."""
    found = re.search(r"  fix: (git .+?)(?:  \(|, then)", said)
    assert found, said
    return found[1]


def assert_well(stack: Checkout) -> None:
    assert stack.found_by_doctor() == set()
    stack.inv(*DEPLOY)


@needs_root
@pytest.mark.fault("ENV17", "docker", "embedded")
def test_a_repository_of_another_user(stack: Checkout) -> None:
    subprocess.run(["chown", "-R", "4321", stack.root / ".git"], check=True)
    try:
        said = stack.refused("ENV17", *DEPLOY)
        assert "dubious ownership" in said
        assert stack.found_by_doctor() == {"ENV17"}
        subprocess.run(shlex.split(shown(said)), check=True)
        assert_well(stack)
    finally:
        subprocess.run(["chown", "-R", str(os.geteuid()), stack.root / ".git"], check=True)


@pytest.mark.fault("DEP32", "docker")
def test_no_git(stack: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    with path_without("git") as path, monkeypatch.context() as machine:
        machine.setenv("PATH", str(path))
        assert "apt-get install git" in stack.refused("DEP32", *DEPLOY)
        # Who does not deploy needs none.
        assert "git is not installed" in stack.inv("doctor").stdout
    stack.inv(*DEPLOY)


@pytest.mark.fault("DEP33", "docker")
def test_a_submodule_that_is_not_checked_out(stack: Checkout, tmp_path: Path) -> None:
    for name in ("deep", "libs"):
        git(tmp_path, "init", "--quiet", name)
        commit(tmp_path / name, **{f"{name}.py": ""})
    libs = tmp_path / "libs"
    git(libs, "submodule", "--quiet", "add", str(tmp_path / "deep"), "deep")
    commit(libs)
    git(stack.root, "submodule", "--quiet", "add", str(libs), "project/libs")
    git(stack.root, "commit", "--quiet", "--message", "The submodule, without its own")
    said = stack.refused("DEP33", *DEPLOY)
    assert "submodule project/libs/deep is not checked out" in said
    git(stack.root, "submodule", "--quiet", "deinit", "--all")  # as a clone is at first
    said = stack.refused("DEP33", *DEPLOY)
    assert "submodule project/libs is not checked out" in said
    assert stack.found_by_doctor() == {"DEP33"}
    git(stack.root, *shlex.split(shown(said))[1:])
    assert (stack.root / "project/libs/deep/deep.py").exists()
    assert_well(stack)
    git(stack.root, "rm", "--quiet", "-r", "--force", "project/libs")


@pytest.mark.fault("DEP34", "docker")
def test_files_that_git_lfs_has_not_fetched(
    stack: Checkout, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine without LFS; then git asks for it, and it is gone; then it is installed."""
    files = {".gitattributes": "*.jpg filter=lfs -text\n", "project/home/a.jpg": POINTER}
    commit(stack.root, **files)
    said = stack.refused("DEP34", *DEPLOY)
    assert "project/home/a.jpg: Git LFS has not fetched" in said
    command = shown(said)
    assert stack.found_by_doctor() == {"DEP34"}
    with path_without("git-lfs") as path, monkeypatch.context() as machine:
        machine.setenv("PATH", str(path))
        settings.write_text(CONFIG + FILTER)
        said = stack.refused("DEP34", *DEPLOY)
        assert "git-lfs, which is not installed" in said and f"git-lfs), then {command}" in said
        assert stack.found_by_doctor() == {"DEP34"}
    settings.write_text(CONFIG)
    if shutil.which("git-lfs"):
        git(stack.root, "remote", "add", "origin", upstream(tmp_path))
        subprocess.run(["sh", "-c", command], cwd=stack.root, check=True, capture_output=True)
        assert (stack.root / "project/home/a.jpg").read_bytes() == CONTENT
        assert_well(stack)
        git(stack.root, "lfs", "uninstall")
        git(stack.root, "remote", "remove", "origin")
    git(stack.root, "rm", "--quiet", "--force", "project/home/a.jpg", ".gitattributes")
    commit(stack.root)
    stack.inv(*DEPLOY)


def upstream(folder: Path) -> str:
    """A repository that has the content, where git-lfs looks for it."""
    git(folder, "init", "--quiet", "--bare", "upstream.git")
    objects = folder / "upstream.git/lfs/objects" / OID[:2] / OID[2:4]
    objects.mkdir(parents=True)
    (objects / OID).write_bytes(CONTENT)
    return str(folder / "upstream.git")
