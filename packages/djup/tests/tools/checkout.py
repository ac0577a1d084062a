"""A second checkout to try things in: nothing that a test does touches the one it belongs to."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from djup import ROOT

PARTS = (
    "inv",
    "tasks.py",
    "tests/suites.py",
    "packages/djup/src",
    "packages/djup-web",
    "compose",
    "docs",
    "project",
    "requirements",
    ".env.example",
    ".dockerignore",
    ".gitignore",
    "pyproject.toml",
)
SOURCE = "packages/djup/src"  # in a checkout: where Python finds djup
LONG_AGO = 1_000_000_000
# From here on ports are looked for: far from where a developer's own stacks have theirs. Suites
# that run beside each other each have a range.
FIRST_PORT = 18000
PORTS_OF_ONE = 100  # process that runs tests


def make(root: Path) -> Path:
    """A copy of this checkout's own files at `root`, as fresh from a clone: no .env, no .venv."""
    root.mkdir(parents=True)
    # The toolkit's bytecode comes along: it would be compiled anew by each `inv` of each test.
    ignored = {"project": ("__pycache__", "*.sqlite3", "staticfiles")}
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns(*ignored.get(name, ()))
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    begin_at(root, first_port())
    return root


def lent(root: Path) -> Path:
    """The same with a .venv, which nothing has to be installed into."""
    make(root)
    lend_venv(root)
    return root


def first_port() -> int:
    """Where this process begins to look: neither another one of pytest-xdist nor another suite is
    to find the same port free."""
    return int(os.environ.get("FIRST_PORT", FIRST_PORT)) + worker() * PORTS_OF_ONE


def worker() -> int:
    """The number of this process among those of pytest-xdist."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def begin_at(root: Path, port: int) -> None:
    """Have a free port be looked for from this one on."""
    example = root / ".env.example"
    text, found = re.subn("(?m)^WEB_PORT=.*", f"WEB_PORT={port}", example.read_text())
    assert found == 1
    example.write_text(text)


def lend_venv(root: Path) -> None:
    """A .venv with the packages of this checkout's, but with locks and scripts of its own."""
    ours, theirs = ROOT / ".venv", root / ".venv"
    (theirs / "bin").mkdir(parents=True)
    (theirs / "lib").symlink_to(ours / "lib")
    (theirs / "bin" / "python").symlink_to((ours / "bin" / "python").resolve())
    shutil.copy(ours / "pyvenv.cfg", theirs)
    shutil.copytree(ours / "locks", theirs / "locks")
    # What the launcher compares: the stamp has to be the newer one.
    os.utime(root / "requirements" / "tasks.txt", (LONG_AGO, LONG_AGO))
    (theirs / "locks" / "ready").touch()


def start(root: Path, *arguments: str, **options: Any) -> "subprocess.Popen[Any]":
    """`./inv arguments` in a process group of its own, as a shell would start it."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = streams | {"cwd": root, "start_new_session": True} | options
    return subprocess.Popen([root / "inv", *arguments], **options)


def set_value(env: Path, key: str, value: str) -> None:
    """Set one key in an .env, as a user with an editor would."""
    lines = env.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{key}=")]
    env.write_text("\n".join([*kept, f"{key}={value}", ""]))
