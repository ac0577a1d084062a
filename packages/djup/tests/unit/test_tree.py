"""The files of a commit for an image, from real repositories; and git that refuses to read one."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from machine import git as run

from djup import ROOT
from djup.checkout import env
from djup.data import snapshots
from djup.deploy import source, tree
from djup.doctor.checks import dot_env
from djup.host import git, process
from djup.problems import Problem

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit, whose image takes project/ alone."""
    folder = tmp_path / "shop"
    for module in (env, tree, process, dot_env):
        monkeypatch.setattr(module, "ROOT", folder)
    for key in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{key}_NAME", "me")
        monkeypatch.setenv(f"{key}_EMAIL", "me@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "gitconfig").write_text('[protocol "file"]\nallow = always\n')
    repository(folder, **{"project/page.py": "page", ".dockerignore": "*\n!project\n"})
    return folder


def commit(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    run(folder, "add", ".")
    run(folder, "commit", "--quiet", "--allow-empty", "--message", "Change")


def repository(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    run(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, **files)
    return folder


def with_submodules(here: Path) -> None:
    """project/libs with project/libs/deep in it, and one that no image takes."""
    deep = repository(here.parent / "deep", **{"deep.py": "deep"})
    libs = repository(here.parent / "libs", **{"lib.py": "lib"})
    run(libs, "submodule", "--quiet", "add", str(deep), "deep")
    commit(libs)
    for source_of, path in ((libs, "project/libs"), (deep, "docs/theme")):
        run(here, "submodule", "--quiet", "add", str(source_of), path)
    run(here, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(here)


def written(folder: Path) -> dict[str, str]:
    tree.write(folder)
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix == ".py")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def codes() -> list[str]:
    return [problem.code for problem in source.lacks()]


def test_the_commit_and_its_submodules(here: Path, tmp_path: Path) -> None:
    with_submodules(here)
    (here / "project/libs/lib.py").write_text("changed since")
    (here / "project/stray.py").write_text("in no commit")
    found = written(tmp_path / "tree")
    assert found == {
        "project/page.py": "page",
        "project/libs/lib.py": "lib",
        "project/libs/deep/deep.py": "deep",
    }
    assert codes() == []


def test_a_submodule_that_is_not_checked_out(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_submodules(here)
    clone = tmp_path / "clone"
    run(tmp_path, "clone", "--quiet", str(here), str(clone))
    for module in (tree, process):
        monkeypatch.setattr(module, "ROOT", clone)
    assert not source.checked_out().changes, "git itself finds nothing to say"
    [problem] = source.lacks()
    assert problem.code == "DEP33" and "submodule project/libs is not checked out" in problem.what
    assert "theme" not in problem.what, "the image has no use for it"
    run(clone, "submodule", "--quiet", "update", "--init")
    assert tree.absent() == ["project/libs/deep"]
    run(clone, *problem.fix.partition(",")[0].split()[1:])  # as it is advised
    assert codes() == []


def test_a_submodule_in_another_version_than_the_commit_names(here: Path) -> None:
    with_submodules(here)
    commit(here.parent / "libs", **{"new.py": "new"})
    run(here / "project/libs", "pull", "--quiet")
    assert source.checked_out().changes == ("project/libs",)
    assert codes() == []


def test_files_that_git_lfs_has_not_fetched(here: Path) -> None:
    libs = repository(here.parent / "libs", **{".gitattributes": "*.bin filter=lfs\n"})
    commit(libs, **{"model.bin": POINTER})
    run(here, "submodule", "--quiet", "add", str(libs), "project/libs")
    attributes = {".gitattributes": "*.jpg filter=lfs\n", "docs/plan.jpg": POINTER}
    files = {"project/a.jpg": POINTER, "project/b.jpg": "a picture", "project/c.txt": POINTER}
    commit(here, **attributes, **files)
    [problem] = source.lacks()
    assert problem.code == "DEP34"
    assert sorted(tree.pointers()) == ["project/a.jpg", "project/libs/model.bin"]


def test_a_checkout_within_a_larger_repository(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = here / "project"
    commit(here, **{"project/.dockerignore": "*\n!project\n", "project/project/inner.py": "inner"})
    for module in (tree, process):
        monkeypatch.setattr(module, "ROOT", inner)
    assert written(tmp_path / "tree") == {"page.py": "page", "project/inner.py": "inner"}
    assert codes() == []


# git that refuses


def give_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the repository belong to somebody else, as in a container or on a mounted disk."""
    if os.geteuid():
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    else:
        subprocess.run(["chown", "-R", "4321", folder], check=True)


def refused() -> Problem:
    with pytest.raises(Problem) as raised:
        source.checked_out()
    return raised.value


def test_a_repository_of_another_user(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    give_away(here, monkeypatch)
    problem = refused()
    command = f"git config --global --add safe.directory {here}"
    assert problem.code == "ENV17" and "dubious ownership" in problem.what
    assert problem.fix.startswith(f"{command}  (")
    [finding] = dot_env._git()
    assert finding.problem and finding.problem.fix == problem.fix
    assert snapshots.branch() == "snapshot"
    said = capsys.readouterr().err
    assert "dubious ownership" in said and command in said and "--name" in said
    subprocess.run(command.split(), check=True)
    assert source.checked_out().changes == () and snapshots.branch() == "main"
    assert dot_env._git()[0].problem is None


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("config", "[core\n", "bad config line 1"),
        ("index", "no index", "index file"),
        ("HEAD", "ref: refs/heads/gone\n", ""),
    ],
)
def test_a_damaged_repository(here: Path, file: str, text: str, reason: str) -> None:
    (here / ".git" / file).write_text(text)
    problem = refused()
    assert problem.code == ("ENV17" if reason else "DEP06") and reason in problem.what


def test_a_worktree_whose_repository_was_moved(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(here, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    here.rename(tmp_path / "moved")
    for module in (process, tree):
        monkeypatch.setattr(module, "ROOT", tmp_path / "tree")
    problem = refused()
    assert problem.code == "ENV17" and str(here) in problem.what
    assert dot_env._git()[0].problem


def test_no_repository_no_commit_and_no_git(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["rm", "-r", here / ".git"], check=True)
    assert refused().code == "DEP06"
    run(here, "init", "--quiet")
    assert refused().code == "DEP06"
    monkeypatch.setenv("PATH", "/nowhere")
    assert refused().code == "DEP32"


def test_python_before_3_11_4_knows_no_filter(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack = tarfile.TarFile.extractall

    def extractall(tar: tarfile.TarFile, path: Path) -> None:
        unpack(tar, path)

    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    monkeypatch.delattr(tarfile, "tar_filter")
    tree.write(tmp_path / "out")
    assert (tmp_path / "out" / "project" / "page.py").read_text() == "page"


def test_every_question_to_git_goes_through_its_door() -> None:
    asking = {f for f in (ROOT / "packages/djup/src").rglob("*.py") if '["git"' in f.read_text()}
    assert asking == {Path(str(git.__file__))}
