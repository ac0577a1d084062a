"""`djup new`: a repository of one's own, around the starter's code."""

import keyword
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from djup import __version__
from djup.checkout import manifest
from djup.host import git
from djup.problems import problem
from djup.project import starter, wheels
from djup.terminal import console
from djup.terminal.task import this_task

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
LONGEST = 32  # of the part of a Compose name that comes from the folder


def run(where: str, tasks: str) -> None:
    """Write a new project into a folder that is not there yet, or is empty; `tasks` is the text
    that lists them."""
    target = Path(where).expanduser().resolve()
    refuse_name(target.name)
    refuse_occupied(target)
    if this_task.dry:
        console.say(f"a new project would be written into {target}")
        return
    target.mkdir(parents=True, exist_ok=True)
    pins = {wheel.name: wheels.sha256(wheel) for wheel in _wheels_of(target)}
    for path, text in starter.files(target.name, pins):
        text = text.replace("{{ tasks }}", tasks)
        _write(target / path, text, program=path in starter.PROGRAMS)
    note = manifest.of_texts(__version__, starter.managed(pins))
    _write(target / manifest.NAME, note.as_text(), program=False)
    committed = _commit(target)
    console.say(f"{target}: {len(list(_written(target)))} files{committed}\n")
    console.answer(f"cd {where}\n./inv up\n")


def refuse_name(name: str) -> None:
    """Raise unless a folder's name can be that of a Python package and of a Compose project."""
    if NAME.fullmatch(name) and len(name) <= LONGEST and not keyword.iskeyword(name):
        return
    raise problem("NEW01", name=repr(name), like=_like(name))


def refuse_occupied(target: Path) -> None:
    """Raise if there is anything in the way."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise problem("NEW02", folder=str(target))


def _like(name: str) -> str:
    """A name that would do, and looks like it."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].strip("-")
    return f"{plain}-site" if keyword.iskeyword(plain) else plain or "shop"


def _wheels_of(target: Path) -> list[Path]:
    return wheels.ours(target / "requirements" / "wheels")


def _write(path: Path, text: str, *, program: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if program else 0o644)


def _written(target: Path) -> Iterator[Path]:
    return (path for path in target.rglob("*") if path.is_file() and ".git" not in path.parts)


def _commit(target: Path) -> str:
    """Make a repository with one commit, where git is there and knows whose; what came of it."""
    if not shutil.which("git") or _is_in_repository(target.parent):
        return ""
    git.ask("init", "--quiet", "--initial-branch=main", folder=target)
    git.ask("add", "--all", folder=target)
    done = git.ask("commit", "--quiet", "--message", "Begin with djup", folder=target)
    return ", one commit" if done.code == 0 else "; to commit them: git commit"


def _is_in_repository(folder: Path) -> bool:
    return git.ask("rev-parse", "--git-dir", folder=folder).code == 0
