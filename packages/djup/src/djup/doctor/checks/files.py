"""What may be wrong with the files of this checkout: whose they are, their locks, their disk."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from djup import HERE, REQUIREMENTS, ROOT, STATE
from djup.checkout import manifest
from djup.code import requirements, unhashable
from djup.doctor.finding import Finding, Fix
from djup.host import ownership
from djup.host.ownership import user as _user
from djup.problems import problem
from djup.stack.stack import Stack
from djup.terminal import console

# Nobody edits these, or they are another's by design, as the embedded database is nobody's.
SKIPPED = {".git", ".venv", ".data", ".state", "node_modules", "__pycache__"}
LEAST_SPACE = 200 * 10**6


def check(stack: Stack | None = None) -> list[Finding]:
    """What can be told of the files without asking anybody."""
    return [_owners(), _tasks(), *_toolkit(), _locks(), _space()]


def _owners() -> Finding:
    owner = ROOT.stat()
    uids = dict(_files())
    foreign = sorted(path for path, uid in uids.items() if uid != owner.st_uid)
    if not foreign:
        return Finding("files", f"all {len(uids)} belong to {_user(owner.st_uid)}")
    first, whose = str(foreign[0].relative_to(ROOT)), _user(uids[foreign[0]])
    return Finding(
        "files",
        f"{len(foreign)} of {len(uids)} belong to another user",
        problem("SYS05", count=len(foreign), first=first, owner=whose),
        None if os.geteuid() else Fix("chown of these files", partial(_give, foreign, owner)),
    )


def _files() -> Iterator[tuple[Path, int]]:
    """Every file and folder that people work with, and the number of its owner."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = set(folders) - SKIPPED
        for name in (*folders, *files):
            path = Path(folder, name)
            with suppress(OSError):  # gone meanwhile
                yield path, path.lstat().st_uid


def _give(paths: Iterable[Path], owner: os.stat_result) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _tasks() -> Finding:
    """Whether a task could take the lock of this checkout."""
    try:
        if (lock := STATE / "lock").exists():
            lock.open("a").close()
    except OSError as error:
        return Finding("tasks", "cannot be run", ownership.problem_of(error))
    return Finding("tasks", "can be run")


def _toolkit() -> Iterator[Finding]:
    """Which of the files that the toolkit wrote were edited here: an upgrade merges them."""
    if noted := manifest.read(ROOT):
        edited = noted.touched(ROOT)
        more = f", edited here: {console.few(edited)}" if edited else ", no file of it is edited"
        yield Finding("toolkit", f"djup {noted.version}{more}")


def _locks() -> Finding:
    named = sorted(REQUIREMENTS.glob("*.in"))
    for file in named:
        for number, stated, works in unhashable.find(file):
            where = f"{HERE}/{file.name} line {number}"
            unlockable = unhashable.problem_of(where, stated, works)
            return Finding("requirements", f"{where} has no hash", unlockable)
    absent = list(dict.fromkeys(name for file in named for name in requirements.unlocked(file)))
    if absent:
        fact = f"{len(absent)} not in the lock yet"
        return Finding("requirements", fact, problem("PKG02", names=", ".join(absent)))
    return Finding("requirements", f"the {len(named)} locks are complete")


def _space() -> Finding:
    free = shutil.disk_usage(ROOT).free
    fact = f"{free / 10**9:.1f} GB free"
    if free >= LEAST_SPACE:
        return Finding("disk", fact)
    return Finding("disk", fact, problem("SYS02", where="in this folder's file system"))
