"""From the system's refusal of a file to its cause: whose it is, a full disk, a read-only one."""

import errno
import os
import pwd
import shlex
from contextlib import suppress
from pathlib import Path

from djup import ROOT
from djup.problems import Problem, problem

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EACCES, errno.EPERM)
# What tasks make in the checkout, and have to get into again.
MADE = (".state", ".venv", "backups")


def problem_of(error: OSError) -> Problem:
    """The problem behind `error`."""
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if error.errno in FULL:
        where = f"at {path}" if path else "on the disk that was written to"
        return problem("SYS02.again", where=where)
    if error.errno == errno.EROFS and path:
        return problem("SYS07", path=str(path))
    where = f" ({error.filename})" if error.filename else ""
    reason = f"{error.strerror or error}{where}"
    barred = _barred(path) if path and error.errno in CLOSED else None
    if barred and barred.lstat().st_uid == os.geteuid():
        return problem("SYS01.closed", reason=reason, path=shlex.quote(str(barred)))
    return of_another(barred) if barred else problem("SYS01", reason=reason)


def of_another(path: Path) -> Problem:
    """The problem that `path` belongs to somebody else, and is closed to us."""
    take = f'sudo chown -R "$(id -u):$(id -g)" {shlex.join(map(str, _with_it(path)))}'
    # What runs under the other's name could not be ended afterwards.
    runs = ROOT / ".state" in (path, *path.parents)
    fix = f"sudo ./inv down  then: {take}" if runs else take
    return problem("SYS06", path=str(path), owner=user(path.lstat().st_uid), fix=fix)


def refuse_closed() -> None:
    """Raise if what an earlier task made here is closed to us, as after one under sudo."""
    for path in (ROOT / name for name in MADE):
        needed = os.R_OK | os.X_OK | (os.W_OK if path.name == ".state" else 0)
        if path.exists() and path.stat().st_uid != os.geteuid() and not _may(path, needed):
            raise of_another(path)


def give_back() -> None:
    """Under sudo, give what tasks make here to whom the checkout belongs."""
    owner = ROOT.stat()
    if os.geteuid() or not owner.st_uid:
        return
    for made in (ROOT / name for name in MADE):
        for path in (made, *made.rglob("*")) if made.exists() else ():
            with suppress(FileNotFoundError):
                if path.lstat().st_uid == 0:
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def user(uid: int) -> str:
    """A user's name, or number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # of a container, or deleted
        return f"user {uid}"


def _barred(path: Path) -> Path | None:
    """The first folder or file on the way to `path` that is closed to us."""
    *folders, last = (*reversed(path.absolute().parents), path.absolute())
    for folder in folders:
        if not _may(folder, os.X_OK):
            return folder
    nearest = last if last.exists() else last.parent
    needed = os.R_OK | os.W_OK | (os.X_OK if nearest.is_dir() else 0)
    return None if _may(nearest, needed) else nearest


def _with_it(path: Path) -> list[Path]:
    """`path`, or where it is of what tasks make here, all of that which is not ours."""
    if not path.is_relative_to(ROOT) or path == ROOT:
        return [path]
    if ROOT.stat().st_uid != os.geteuid():  # the whole checkout is another's
        return [ROOT]
    made = [ROOT / name for name in MADE if (ROOT / name).exists()]
    if not any(folder in (path, *path.parents) for folder in made):
        return [path]
    return [
        folder
        for folder in made
        if folder.lstat().st_uid != os.geteuid() or folder in (path, *path.parents)
    ]


def _may(path: Path, mode: int) -> bool:
    # As who we are in effect; macOS knows no other question than by the real user.
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
