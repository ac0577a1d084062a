"""From one version of the toolkit to another and back, in a project that was edited meanwhile."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import from_wheels
import pytest
import versions
from shapes import git
from stacks import RUNTIMES, Checkout
from versions import (
    ADDED,
    CADDYFILE,
    DELETED,
    DOCKERFILE,
    GONE,
    LAST_LINE,
    NEWER,
    PROD,
    WANTED,
    edit,
)

from djup import ROOT, __version__

# Ends `inv`, which has called it, the moment that git is asked for one thing.
KILLING = """\
#!/bin/sh
case " $* " in *" {word} "*) kill -9 $PPID ;; esac
exec {git} "$@"
"""

WHICH = """
import djup
from djup.host import packages
for path in "compose/prod/pooler.yaml", "compose/prod/encryption.yaml", "compose/caddy/Caddyfile":
    print(djup.own_or_ours(path).relative_to(djup.ROOT))
print(packages._lock("zstd").relative_to(djup.ROOT))
"""


@pytest.fixture
def edited(made: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of a new project, in which somebody has worked."""
    root = tmp_path / "shop"
    shutil.copytree(made.root, root, symlinks=True, ignore=shutil.ignore_patterns(".env", ".state"))
    edit(root / DOCKERFILE, LAST_LINE, f"{LAST_LINE}# Ours.\n")
    edit(root / PROD, "# Production, for", "# Our production, for")
    (root / DELETED).unlink()
    (root / CADDYFILE).parent.mkdir()
    (root / CADDYFILE).write_text((ROOT / CADDYFILE).read_text() + "# Ours.\n")
    (root / WANTED).write_text("# Our own mail.\n")
    commit(root)
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    yield Checkout(root, RUNTIMES["embedded"])


def test_there_and_back(edited: Checkout, newer: Path, wheels: dict[str, Path]) -> None:
    before = content(edited)
    said = edited.inv("--dry", "toolkit.upgrade", str(newer)).stderr
    assert content(edited) == before and f"djup {__version__} -> {NEWER}" in said
    said = edited.inv("toolkit.upgrade", str(newer)).stderr
    rows = dict(line.split(maxsplit=1) for line in said.splitlines() if line.startswith("compose/"))
    assert rows == {
        DOCKERFILE: "merged with your edit",
        CADDYFILE: "merged with your edit",
        PROD: "CONFLICT: resolve the marked lines",
        DELETED: "not written: you deleted it",
        GONE: "removed: no longer part of the toolkit",
        WANTED: "NOT WRITTEN: you have a file of this name",
        ADDED: "added",
    }
    assert "it also requires humanize: run inv lock" in said
    assert "- Mail and a cache." in said and "- The first." not in said
    text = (edited.root / CADDYFILE).read_text()
    assert "# The proxy of all:" in text and "# Ours." in text
    text = (edited.root / DOCKERFILE).read_text()
    assert "# The image of the web." in text and "# Ours." in text
    marked = (edited.root / PROD).read_text()
    assert "<<<<<<< yours\n# Our production, for" in marked
    assert (edited.root / WANTED).read_text() == "# Our own mail.\n"
    resolve(edited)
    assert f"djup {NEWER}," in edited.inv("--version").stdout
    assert git(edited.root, "status", "--porcelain") == ""
    edited.inv("toolkit.upgrade", "--to", str(wheels["djup"].parent))
    resolve(edited)
    assert f"djup {__version__}," in edited.inv("--version").stdout
    after = content(edited)
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} <= {PROD}


def test_an_untouched_project_is_upgraded_in_one_commit(made: Checkout, newer: Path) -> None:
    first = git(made.root, "rev-parse", "HEAD").strip()
    try:
        made.inv("toolkit.upgrade", "--to", str(newer))
        assert git(made.root, "log", "-1", "--format=%s").strip() == f"Upgrade djup to {NEWER}"
        assert git(made.root, "status", "--porcelain") == ""
        assert json.loads((made.root / ".djup.json").read_text())["version"] == NEWER
        again = made.inv("toolkit.upgrade", "--to", str(newer)).stderr
        assert f"djup {NEWER} is in this project already" in again
        git(made.root, "revert", "--no-edit", "HEAD")
        assert git(made.root, "diff", "--stat", first) == ""
        assert f"djup {__version__}," in made.inv("--version").stdout
    finally:
        git(made.root, "reset", "--quiet", "--hard", first)


def test_what_the_toolkit_keeps_to_itself_leaves_a_project(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    """But not what somebody has edited: that takes the place of the toolkit's."""
    made = from_wheels.new(versions.older(tmp_path / "older"), tmp_path / "shop")
    project = Checkout(made, RUNTIMES["embedded"])
    before = content(project)
    edit(made / versions.POOLER, "# PgBouncer", "# Our PgBouncer")
    commit(made)
    said = project.inv("toolkit.upgrade", "--to", str(wheels["djup"].parent)).stderr
    [row] = (line for line in said.splitlines() if line.startswith(versions.POOLER))
    assert "kept: " in row
    gone = {
        *(versions.SCRIPT, versions.ENCRYPTION, CADDYFILE),
        *("requirements/zstd.in", "requirements/zstd.txt"),
    }
    assert gone <= before.keys() - content(project).keys()
    assert git(made, "status", "--porcelain") == ""
    python = made / ".venv" / "bin" / "python"
    found = subprocess.run([python, "-c", WHICH], cwd=made, capture_output=True, text=True)
    own, *ours = found.stdout.splitlines()
    assert own == versions.POOLER and len(ours) == 3, found.stderr
    assert all(path.startswith(".venv/lib/") for path in ours)


@pytest.mark.parametrize("word", ["merge-file", "add", "commit"])
def test_killed_on_the_way(edited: Checkout, newer: Path, tmp_path: Path, word: str) -> None:
    """Before all is decided nothing has changed; from then on the next one finishes it."""
    if word == "commit":  # which it does where no conflict is left
        git(edited.root, "checkout", "--quiet", "HEAD~1", "--", PROD)
        commit(edited.root)
    git_program = str(shutil.which("git"))
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(KILLING.format(word=word, git=git_program))
    program.chmod(0o755)
    before, path = content(edited), f"{program.parent}:{os.environ['PATH']}"
    killed = edited.start("toolkit.upgrade", "--to", str(newer), env={**os.environ, "PATH": path})
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    if word == "merge-file":
        assert content(edited) == before
    edited.inv("toolkit.upgrade", "--to", str(newer))
    assert (edited.root / ADDED).read_text() == "services: {}\n"
    assert not (edited.root / GONE).exists()
    resolve(edited)
    assert f"djup {NEWER}," in edited.inv("--version").stdout


@pytest.mark.parametrize(
    ("to", "code"), [("none.whl", "NEW04"), ("compose", "NEW04"), ("README.md", "NEW04")]
)
def test_what_is_no_version(edited: Checkout, to: str, code: str) -> None:
    before = content(edited)
    edited.refused(code, "toolkit.upgrade", "--to", to)
    assert content(edited) == before


def test_edits_that_are_not_committed(edited: Checkout, newer: Path) -> None:
    edited.write("README.md", "# Ours\n")
    edited.refused("NEW03", "toolkit.upgrade", "--to", str(newer))


def resolve(project: Checkout) -> None:
    """Take the project's own words, where both had changed a line."""
    text = (project.root / PROD).read_text()
    if "<<<<<<< " in text:
        head, _, rest = text.partition("<<<<<<< yours\n")
        ours, _, rest = rest.partition("||||||| " if "||||||| " in rest else "=======\n")
        (project.root / PROD).write_text(head + ours + rest.partition(">>>>>>> the toolkit's\n")[2])
        commit(project.root)


def content(project: Checkout) -> dict[str, str]:
    """What git knows of, with what each of it is; the conflicting file is the only one left out."""
    listed = git(project.root, "ls-files", "-s").splitlines()
    there = {line.split("\t")[1]: line.split()[1] for line in listed}
    return {path: digest for path, digest in there.items() if (project.root / path).exists()}


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--no-verify", "--message", "Ours")
