"""`inv hooks`: a git hook that lints what is staged, and no hook of anybody else's touched."""

import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from djup import ROOT
from djup.code import staged
from djup.host import git
from djup.problems import problem
from djup.terminal import console
from djup.terminal.task import this_task

NAME = "pre-commit"
# It names no path of this machine, and calls the launcher: it may be committed, and stays what it
# is when the toolkit is upgraded.
HOOK = """\
#!/bin/sh
# Lints the staged files. Written by `inv hooks`; `inv hooks --remove` removes it.
# To commit without it: git commit --no-verify
project={folder}
if [ -x "$project/inv" ] && [ -x "$project/.venv/bin/ruff" ]; then
  exec "$project/inv" lint --staged
fi
echo "not linted: the linters are not installed here. To install them: $project/inv lint" >&2
"""
SEAL = "# An edited hook is yours, and left alone. As written it has: "


@dataclass(frozen=True)
class Place:
    """Where a repository has its hook, and where in it this checkout is: `.` or `./shop`."""

    hook: Path
    folder: str
    is_shared: bool

    @property
    def text(self) -> str:
        """The hook as `inv hooks` writes it, with what shows later that nobody has edited it."""
        body = HOOK.format(folder=shlex.quote(self.folder))
        return f"{body}{SEAL}{_digest(body)}\n"

    @property
    def line(self) -> str:
        """What does the same in a hook of the user's."""
        inv = shlex.quote(f"{self.folder}/inv")
        first = f"[ ! -x {inv} ] || " if self.is_shared else ""
        return f"{first}{inv} lint --staged || exit 1"


def run(remove: bool) -> None:
    """Write the hook, or remove it; a hook of the user's stays."""
    place = _find()
    if remove:
        _remove(place)
    else:
        _install(place)


def _find() -> Place:
    found = git.ask("rev-parse", "--show-toplevel", "--git-common-dir")
    if found.code:
        raise git.refusal(found) or problem("TASK10")
    top, common = (ROOT / line for line in found.out.splitlines())
    # A relative core.hooksPath is one from the top.
    hooks = top / git.answer("rev-parse", "--git-path", "hooks", folder=top).rstrip("\n")
    within = (top.resolve(), common.resolve())
    is_shared = not any(hooks.resolve().is_relative_to(folder) for folder in within)
    inside = ROOT.resolve().relative_to(top.resolve())
    folder = "." if inside == Path() else f"./{inside}"
    return Place(hooks / NAME, folder, is_shared)


def _install(place: Place) -> None:
    if place.is_shared:
        raise problem("TASK09.shared", hook=str(place.hook), line=place.line)
    if os.path.lexists(place.hook) and not _is_ours(place):
        raise problem("TASK09", hook=str(place.hook), line=place.line)
    staged.ensure_ruff()
    if this_task.dry:
        console.say(f"{place.hook} would be written")
        return
    _write(place)
    console.say(f"{place.hook} lints the staged files; inv hooks --remove removes it")


def _remove(place: Place) -> None:
    if place.is_shared or not _is_ours(place):
        there = os.path.lexists(place.hook)
        why = "was not written by inv hooks: it stays" if there else "does not exist"
        console.say(f"{place.hook} {why}")
        return
    if this_task.dry:
        console.say(f"{place.hook} would be removed")
        return
    place.hook.unlink()
    console.say(f"{place.hook} is removed")


def _is_ours(place: Place) -> bool:
    """Whether it is as some version of the toolkit wrote it, for this folder of the repository."""
    if place.hook.is_symlink() or not place.hook.is_file():
        return False
    body, seal, digest = place.hook.read_text(errors="replace").partition(SEAL)
    is_for_this = f"\nproject={shlex.quote(place.folder)}\n" in body
    return bool(seal) and digest.strip() == _digest(body) and is_for_this


def _write(place: Place) -> None:
    place.hook.parent.mkdir(parents=True, exist_ok=True)
    part = place.hook.with_name(f"{NAME}.part")
    part.write_text(place.text)
    part.chmod(0o755)
    part.replace(place.hook)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
