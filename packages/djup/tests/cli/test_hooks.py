"""`inv hooks`, by real commits: what is staged is linted, and nobody else's hook is touched."""

import shutil
import subprocess
from pathlib import Path

import pytest
from toolkit import Toolkit

from djup import ROOT

RUFF = ROOT / ".venv" / "bin" / "ruff"
UGLY, FAIR = "import os\nx = {  1 }\n", "x = {1}\n"
FILE = "project/notes/more.py"
WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
}
BARE = {"PATH": "/usr/bin:/bin", **WHO}  # as a program with windows is started


def git(
    folder: Path, *arguments: str, env: dict[str, str] = BARE
) -> "subprocess.CompletedProcess[str]":
    argv = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def commit(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return git(folder, "commit", "--quiet", "-m", "more", *arguments)


def commits(folder: Path) -> int:
    return int(git(folder, "rev-list", "--count", "HEAD").stdout)


def stage(folder: Path, text: str, name: str = FILE) -> None:
    (folder / name).write_text(text)
    assert git(folder, "add", name).returncode == 0


def begin(folder: Path) -> None:
    """A repository with one commit of all that is there."""
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "First")):
        assert git(folder, *arguments).returncode == 0


def lend_ruff(root: Path) -> None:
    (root / ".venv" / "bin" / "ruff").symlink_to(RUFF)


@pytest.fixture
def shop(toolkit: Toolkit) -> Toolkit:
    """A repository with the toolkit in it, and its linters."""
    lend_ruff(toolkit.root)
    begin(toolkit.root)
    return toolkit


@pytest.fixture
def hooked(shop: Toolkit) -> Path:
    """The root of one that has the hook."""
    assert shop.inv("hooks").code == 0
    return shop.root


def test_what_is_staged_is_linted_and_no_verify_passes(hooked: Path) -> None:
    stage(hooked, UGLY)
    done = commit(hooked)
    assert done.returncode == 1 and commits(hooked) == 1
    assert f"{FILE}:1:8" in done.stderr and "would be reformatted" in done.stderr
    assert "./inv lint --fix" in done.stderr and "git commit --no-verify" in done.stderr
    assert commit(hooked, "--no-verify").returncode == 0 and commits(hooked) == 2
    stage(hooked, FAIR)
    done = commit(hooked)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and commits(hooked) == 3
    assert commit(hooked, "--amend").returncode == 0
    assert list((hooked / ".state").iterdir()) == []


def test_edits_that_are_not_staged_neither_hide_nor_cause_a_failure(hooked: Path) -> None:
    stage(hooked, UGLY)
    (hooked / FILE).write_text(FAIR)
    assert commit(hooked).returncode == 1
    stage(hooked, FAIR)
    (hooked / FILE).write_text(UGLY)
    (hooked / "pyproject.toml").write_text("[tool.ruff.lint]\nselect = ['ALL']\n")
    assert commit(hooked).returncode == 0
    assert (hooked / FILE).read_text() == UGLY
    for more in (["--all"], [FILE]):  # of which git makes an index by itself
        assert commit(hooked, *more).returncode == 1
    assert commits(hooked) == 2


def test_it_finds_what_inv_lint_finds(hooked: Path) -> None:
    """Which modules are the project's own, and which files are left out."""
    (hooked / "orders").mkdir()
    stage(hooked, "", "orders/__init__.py")
    assert commit(hooked).returncode == 0
    stage(hooked, "import django\n\nimport orders\n\nprint(django, orders)\n")
    assert commit(hooked).returncode == 0
    stage(hooked, "import django\nimport orders\n\nprint(django, orders)\n")
    assert commit(hooked).returncode == 1
    stage(hooked, FAIR)
    stage(hooked, UGLY, "project/notes/migrations/0002_more.py")
    (hooked / "link.py").symlink_to("nowhere")
    assert git(hooked, "add", "link.py").returncode == 0
    assert git(hooked, "rm", "-q", "orders/__init__.py").returncode == 0
    done = commit(hooked)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("own", ["#!/bin/sh\nexit 0\n", "edited"])
def test_a_hook_of_the_users_stays_and_can_have_the_line(shop: Toolkit, own: str) -> None:
    hook = shop.root / ".git" / "hooks" / "pre-commit"
    if own == "edited":
        shop.inv("hooks")
        own = hook.read_text().replace("#!/bin/sh\n", "#!/bin/sh\ntrue\n")
    hook.write_text(own)
    hook.chmod(0o755)
    for arguments in ((), ("--remove",)):
        done = shop.inv("hooks", *arguments)
        assert hook.read_text() == own
    assert done.code == 0 and "it stays" in done.err
    done = shop.inv("hooks")
    assert done.code == 1 and "error TASK09" in done.err
    line = done.err.partition("add this line to it: ")[2].splitlines()[0]
    hook.write_text(f"#!/bin/sh\n{line}\nexit 0\n")
    stage(shop.root, UGLY)
    assert commit(shop.root).returncode == 1


def test_again_by_another_version_and_removed(shop: Toolkit) -> None:
    hook = shop.root / ".git" / "hooks" / "pre-commit"
    assert "would be written" in shop.inv("--dry", "hooks").err and not hook.exists()
    assert "does not exist" in shop.inv("hooks", "--remove").err
    shop.inv("hooks")
    text = hook.read_text()
    assert shop.inv("hooks").code == 0 and hook.read_text() == text
    source = shop.root / "packages/djup/src/djup/code/hooks.py"
    source.write_text(source.read_text().replace("# Lints the", "# Now lints the"))
    assert shop.inv("hooks").code == 0 and "# Now lints the" in hook.read_text()
    shop.inv("--dry", "hooks", "--remove")
    assert hook.exists()
    others = sorted(hook.parent.iterdir())
    assert shop.inv("hooks", "--remove").code == 0
    assert sorted(hook.parent.iterdir()) == [one for one in others if one != hook]


def test_core_hooks_path(shop: Toolkit, tmp_path: Path) -> None:
    """A folder of the repository is used; one that other repositories share is not."""
    git(shop.root, "config", "core.hooksPath", ".githooks")
    assert shop.inv("hooks").code == 0
    hook = shop.root / ".githooks" / "pre-commit"
    assert str(shop.root) not in hook.read_text()
    stage(shop.root, UGLY)
    assert commit(shop.root).returncode == 1
    (tmp_path / "shared").mkdir()
    git(shop.root, "config", "core.hooksPath", str(tmp_path / "shared"))
    done = shop.inv("hooks")
    assert done.code == 1 and "error TASK09" in done.err and "[ ! -x ./inv ] || " in done.err
    assert not list((tmp_path / "shared").iterdir())


def test_a_worktree_is_linted_by_its_own_tools_or_not_at_all(hooked: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert git(hooked, "worktree", "add", "-q", str(other)).returncode == 0
    stage(other, UGLY)
    done = commit(other)
    assert done.returncode == 0
    assert done.stderr == (
        "not linted: the linters are not installed here. To install them: ./inv lint\n"
    )
    shutil.copytree(hooked / ".venv", other / ".venv", symlinks=True)
    stage(other, UGLY + "\n")
    assert commit(other).returncode == 1
    stage(other, FAIR)
    assert commit(other).returncode == 0


@pytest.mark.parametrize("folder", ["shop", "my shop"])
def test_a_project_in_a_folder_of_a_repository(
    toolkit: Toolkit, tmp_path: Path, folder: str
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    toolkit.root = toolkit.root.rename(whole / folder)
    lend_ruff(toolkit.root)
    begin(whole)
    assert toolkit.inv("hooks").code == 0
    stage(whole, UGLY, "elsewhere.py")
    assert commit(whole).returncode == 0
    other = tmp_path / "other"
    assert git(whole, "worktree", "add", "-q", str(other)).returncode == 0
    shutil.copytree(toolkit.root / ".venv", other / folder / ".venv", symlinks=True)
    for top in (whole, other):
        stage(top / folder, UGLY)
        for place in (top, top / folder / "project"):
            done = commit(place)
            assert done.returncode == 1 and f"\n --> {FILE}:1:8" in done.stderr
    done = toolkit.inv("lint", "--staged", cwd=toolkit.root / "project" / "notes")
    assert done.code == 1 and FILE in done.out


def test_no_repository_and_nothing_to_fix(toolkit: Toolkit) -> None:
    assert "error TASK10" in toolkit.inv("hooks").err
    assert "error TASK11" in toolkit.inv("lint", "--staged", "--fix").err
