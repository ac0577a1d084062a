"""The requirements that a project has already, in whatever form, as uv reads them."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from djup import ROOT
from djup.host import packages, process
from djup.problems import problem

# A lock of another tool, and the command that prints what it holds.
EXPORTS = {
    "uv.lock": (
        *("uv", "export", "--frozen", "--quiet", "--no-hashes", "--no-emit-project"),
        *("--no-header", "--no-annotate"),
    ),
    "poetry.lock": ("poetry", "export", "--without-hashes"),
    "Pipfile.lock": ("pipenv", "requirements"),
}
GROUPS = {
    "uv.lock": ("--all-groups", "--all-extras"),
    "poetry.lock": ("--with", "dev"),
    "Pipfile.lock": ("--dev",),
}
WITHOUT = {"uv.lock": ("--no-dev",)}
EXTRA = re.compile(r"(.+)\[(.+)\]")


def as_input(name: str, folder: Path) -> Sequence[str]:
    """The words of `uv pip compile` for a file of requirements, one of pyproject.toml's groups
    (`pyproject.toml:dev`) or extras (`pyproject.toml[dev]`), or the lock of another tool, which is
    exported into `folder`. A lock's name with `:dev` has what development needs too."""
    path, _, group = name.partition(":")
    if path in EXPORTS:
        return [str(_exported(path, group, folder).relative_to(ROOT))]
    if group:
        return ["--group", name]
    if match := EXTRA.fullmatch(name):
        return ["--extra", match[2], match[1]]
    return [name]


def missing_program(names: Sequence[str]) -> tuple[str, str] | None:
    """The first lock of another tool whose program cannot be run here, and that program."""
    for path in (name.partition(":")[0] for name in names):  # FILE or FILE:GROUP
        program = EXPORTS[path][0] if path in EXPORTS else "uv"
        if program != "uv" and not shutil.which(program):
            return path, program
    return None


def _exported(path: str, group: str, folder: Path) -> Path:
    program, *words = EXPORTS[path]
    words += GROUPS[path] if group else WITHOUT.get(path, ())
    target = folder / f"{path}{group}.txt"
    done = process.run([_program(program), *words])
    process.stop_if_interrupted(done.code)
    if done.code:
        command = " ".join((program, *words))
        raise problem("PKG06", done.err.strip(), file=path, command=command)
    target.write_text(done.out, encoding="utf-8")
    return target


def _program(name: str) -> str:
    """Where a program is: uv is in .venv."""
    return str(packages.VENV / "bin" / "uv") if name == "uv" else shutil.which(name) or name
