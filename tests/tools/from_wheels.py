"""Projects that `djup new` makes, or `djup adopt` takes: they have the toolkit as wheels alone."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import checkout

from djup import ROOT

Adopt = Callable[..., subprocess.CompletedProcess[str]]
UV = ROOT / ".venv" / "bin" / "uv"
COMMITTER = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Ann", "EMAIL": "ann@example.org"}.items()
}
IMPORTED = """
import importlib, sys
modules = map(importlib.import_module, sys.argv[1:])
print(*sys.path, *(module.__file__ for module in modules), sep="\\n")
"""


def build(folder: Path) -> dict[str, Path]:
    """The wheels of both packages, by their names."""
    subprocess.run([ROOT / "inv", "toolkit.build", "--folder", folder], check=True)
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


def new(wheel: Path, root: Path) -> Path:
    """What `uvx --from djup-….whl djup new NAME` writes; its first task makes its .venv."""
    argv = [UV, "tool", "run", "--from", wheel, "djup", "new", root.name]
    subprocess.run(argv, cwd=root.parent, env=os.environ | COMMITTER, check=True)
    return root


def writer(wheel: Path) -> Callable[[Path], Path]:
    """Writes new projects whose ports are looked for in the range of this process."""

    def write(root: Path) -> Path:
        checkout.begin_at(new(wheel, root), checkout.first_port())
        return root

    return write


def runner(wheel: Path, folder: Path) -> Adopt:
    """`uvx --from djup-….whl djup`, run in a folder, with uv on PATH as whoever has uvx."""
    (folder / "uv").symlink_to(UV)

    def run(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [UV, "tool", "run", "--from", wheel, "djup", *arguments]
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def imported(root: Path, *modules: str) -> list[str]:
    """What the Python of a checkout imports from, and the files of some modules."""
    argv = [root / ".venv" / "bin" / "python", "-P", "-c", IMPORTED, *modules]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")
