"""Other versions of the toolkit than this one, whose managed files are partly others."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import checkout
from shapes import git

from djup import ROOT, __version__

NEWER, OLDER = "99.0.0", "0.0.9"
DOCKERFILE, PROD, DELETED = (
    "compose/web/Dockerfile",
    "compose/prod.yaml",
    "compose/web.yaml",
)
CADDYFILE = "compose/caddy/Caddyfile"
GONE, WANTED, ADDED = "compose/prod/db.yaml", "compose/smtp.yaml", "compose/cache.yaml"
VERSIONED = (
    *("packages/djup/pyproject.toml", "packages/djup-web/pyproject.toml"),
    *("packages/djup/src/djup/__init__.py", "packages/djup-web/src/djup_web/__init__.py"),
)
CHANGES = f"# Changes\n\n## {NEWER}\n\n- Mail and a cache.\n\n## {__version__}\n\n- The first.\n"
LAST_LINE = "EXPOSE 8000\n"


# What projects of an older version had, and the toolkit keeps to itself now.
STARTER = "packages/djup/src/djup/project/starter.py"
SCRIPT, ENCRYPTION, POOLER = (
    *("compose/web/entrypoint", "compose/prod/encryption.yaml"),
    "compose/prod/pooler.yaml",
)


def newer(root: Path) -> Path:
    """The wheel of a later version, built in a new folder."""
    return _build(root, NEWER, _change)


def older(root: Path) -> Path:
    """The wheel of an earlier version, built in a new folder."""
    return _build(root, OLDER, _change_back)


def _build(root: Path, version: str, change: Callable[[Path], None]) -> Path:
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, listed):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in VERSIONED:
        edit(root / name, f'"{__version__}"', f'"{version}"')
    change(root)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    checkout.lend_venv(root)
    (root / ".venv" / "bin" / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
    subprocess.run([root / "inv", "toolkit.build"], cwd=root, check=True)
    return root / "dist" / f"djup-{version}-py3-none-any.whl"


def _change(root: Path) -> None:
    edit(root / VERSIONED[1], '"Django>=4.2",', '"Django>=4.2", "humanize",')
    edit(root / DOCKERFILE, "# The web image.", "# The image of the web.")
    edit(root / PROD, "# Production, for", "# In production, for")
    edit(root / DELETED, "# The web: Django.", "# The web is Django.")
    edit(root / CADDYFILE, "# The proxy:", "# The proxy of all:")
    (root / GONE).unlink()
    for name in (WANTED, ADDED):
        (root / name).write_text("services: {}\n")
    (root / "CHANGELOG.md").write_text(CHANGES)


def _change_back(root: Path) -> None:
    edit(root / STARTER, "OF_TOOLKIT = (", "OF_TOOLKIT: tuple[str, ...] = ()\n_ = (")
    edit(root / STARTER, '"requirements/tasks.")', '"requirements/tasks.", "requirements/zstd.")')
    (root / SCRIPT).write_text("#!/bin/sh\n")


def edit(file: Path, before: str, after: str) -> None:
    """Replace the first place of a text in a file, which has to have it."""
    text = file.read_text()
    assert before in text, (file, before)
    file.write_text(text.replace(before, after, 1))
