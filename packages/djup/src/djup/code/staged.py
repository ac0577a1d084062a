"""`inv lint --staged`: what the next commit would hold, linted as it is staged.

The index is read, not the files: an edit that is not staged neither hides a failure nor causes one.
"""

from collections.abc import Iterator
from pathlib import Path

from djup import ROOT
from djup.host import git, packages, process, temporary
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.terminal import console
from djup.terminal.task import this_task

RUFF = packages.VENV / "bin" / "ruff"
PYTHON = ("*.py", "*.pyi")
SETTINGS = ("pyproject.toml", "ruff.toml", ".ruff.toml", "*/ruff.toml", "*/.ruff.toml")
FIX = """\
to fix it: inv lint --fix, then git add what it changed
to commit it as it is: git commit --no-verify"""


def run(fix: bool) -> None:
    """Check style and format of the Python files that are staged."""
    if fix:
        raise problem("TASK11")
    # In a hook, git's variables hold for the folder in which git has started it.
    top = Path(git.answer("rev-parse", "--show-toplevel", folder=Path.cwd()).rstrip("\n"))
    names = [*_names(top, "diff", "--cached", "--name-only", "--diff-filter=ACMRT", paths=PYTHON)]
    if not names:
        return
    if not RUFF.exists():  # a lock that has changed since can wait until the next inv lint
        ensure_ruff()
    with temporary.folder() as folder:
        _write(top, Path(folder))
        _lint(names, Path(folder) / ROOT.relative_to(top))


def ensure_ruff() -> None:
    """Install the linters, or raise where the project has no ruff among them."""
    packages.ensure(*packages.of_linters())
    if not RUFF.exists() and not this_task.dry:
        raise problem("TASK13")


def _names(top: Path, *question: str, paths: tuple[str, ...]) -> Iterator[str]:
    """The files of this checkout that git answers with, from its root."""
    inside = ROOT.relative_to(top)
    for name in git.answer(*question, "-z", "--", *paths, folder=top).split("\0"):
        if name and Path(name).is_relative_to(inside):
            yield str(Path(name).relative_to(inside))


def _write(top: Path, folder: Path) -> None:
    """Write what is staged into a folder: with all Python files, since ruff looks at which modules
    are the project's own."""
    inside = ROOT.relative_to(top)
    names = _names(top, "ls-files", "--cached", paths=(*PYTHON, *SETTINGS))
    listed = "\0".join(str(inside / name) for name in names)
    write = ("checkout-index", "-z", "--stdin", f"--prefix={folder}/")
    git.answer(*write, folder=top, stdin=listed)


def _lint(names: list[str], folder: Path) -> None:
    """Run ruff in the folder; nothing is said, as hooks do it, where nothing is found."""
    files = [name for name in names if not (folder / name).is_symlink()]
    options = ("--force-exclude", "--no-cache", "--quiet", "--", *files)
    found = [
        process.run([str(RUFF), *command, *options], cwd=folder, merged=True)
        for command in (("check",), ("format", "--check"))
    ]
    if any(done.code for done in found):
        console.answer("".join(done.out for done in found))
        console.say(FIX)
        raise ChildFailed(1)
