"""Links, packs, unpacks and swaps folders of uploads: a program of its own, which is run by the
Python that is where the folders are, in a container or on this machine. It needs that alone.

    python3 -I uploads_tool.py HOME OWNER OPERATION ARGUMENTS...

HOME has the folder `files`, which is MEDIA_ROOT, and those beside it. Each operation prints what it
has come to as the last line of stderr, in JSON; a failure is a sentence there, and exit code 1.
"""

import fcntl
import gzip
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

LIVE, BESIDE, PART = "files", "beside", "part"
LATE = f"{PART}-late"  # what an upload has made in the moment of a swap
PIECE = 1 << 20
SHOWN = 8  # names of missing files
LEVEL = 3  # as the program zstd has it


def link(source: Path, target: Path) -> dict[str, Any]:
    """Have `target` hold what `source` holds, by hard links; what is there already stays."""
    target.mkdir(parents=True, exist_ok=True)
    if source.exists():
        _link_into(source, target)
    return {}


def _link_into(source: Path, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                path.mkdir(exist_ok=True)
                _link_into(Path(entry.path), path)
            else:
                _link_one(Path(entry.path), path)


def _link_one(source: Path, target: Path) -> None:
    try:
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.hardlink_to(source)
    except (FileExistsError, FileNotFoundError):  # linked before; or deleted since it was listed
        return
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def counted(folder: Path) -> dict[str, Any]:
    """How many files are in a folder, and their bytes."""
    count = size = 0
    for file in _files(folder):
        count, size = count + 1, size + file.stat(follow_symlinks=False).st_size
    return {"count": count, "bytes": size}


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry


def pack(folder: Path) -> dict[str, Any]:
    """Write a folder to stdout as a compressed tar archive."""
    folder.mkdir(parents=True, exist_ok=True)
    found = counted(folder)
    _widen(sys.stdout.fileno())
    argv = ["tar", "-cf", "-", "-C", str(folder), "."]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, bufsize=0, pipesize=PIECE, **pipes) as tar:
        assert tar.stdout and tar.stderr
        _compress(tar.stdout)
        said = tar.stderr.read().decode(errors="replace")
    # A file that is written to while it is read is none that Django keeps.
    if tar.returncode and "changed as we read it" not in said:
        raise SystemExit(said.strip() or "tar failed")
    return found


def _widen(pipe: int) -> None:
    """Have a pipe hold more than its 64 kB: fewer turns of writer and reader."""
    with suppress(OSError, AttributeError):  # no pipe; or a system that cannot
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIECE)


def _compress(source: IO[bytes]) -> None:
    """With zstd where there is one: a module of Python 3.14, a package, a program; else gzip."""
    out = sys.stdout.buffer
    for name in ("compression.zstd", "backports.zstd"):
        try:
            zstd = importlib.import_module(name)
        except ImportError:
            continue
        options = {
            zstd.CompressionParameter.compression_level: LEVEL,
            zstd.CompressionParameter.nb_workers: min(4, os.cpu_count() or 1),
        }
        with zstd.ZstdFile(out, "wb", options=options) as packed:
            shutil.copyfileobj(source, packed, PIECE)
        return
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", "-c", "-T0", f"-{LEVEL}"], stdin=source, check=True)
        return
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        shutil.copyfileobj(source, packed, PIECE)


def unpack(folder: Path) -> dict[str, Any]:
    """Fill a new folder from a tar archive on stdin."""
    _remove(folder)
    folder.mkdir(parents=True)
    argv = ["tar", "-xpof", "-", "-C", str(folder)]
    done = subprocess.run(argv, stdin=sys.stdin.buffer, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode(errors="replace").strip() or "tar failed")
    os.sync()  # before anything is renamed
    return counted(folder)


def swap(live: Path, source: Path, kept: Path) -> dict[str, Any]:
    """Put `source` in the place of the uploads, which become `kept`; begun before or not. Gives how
    many files are kept."""
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        if live.exists():
            live.rename(kept)
        else:
            kept.mkdir()
    if source.exists():
        _move(source, live)
    _sync(live.parent)
    return counted(kept)


def _move(source: Path, live: Path) -> None:
    """Rename a folder; what an upload has made meanwhile in its place goes into it."""
    late = live.with_name(LATE)
    _remove(late)
    while True:
        try:
            source.rename(live)
            break
        except OSError:
            if not live.exists():
                raise
            live.rename(late)
    if late.exists():
        link(late, live)
        _remove(late)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a folder; one that is half removed is never found under its name."""
    if not folder.exists():
        return
    gone = folder.with_name(f"{PART}-gone-{os.getpid()}")
    folder.rename(gone)
    shutil.rmtree(gone)


def clear(home: Path) -> None:
    """Remove what killed tasks have left: whoever works on it holds the lock."""
    for left in home.glob(f"{PART}*"):
        shutil.rmtree(left, ignore_errors=True)


def missing(folder: Path) -> dict[str, Any]:
    """Which of the names on stdin, a line each in hexadecimal, are no file in a folder."""
    count, asked = 0, 0
    shown: list[str] = []
    for line in sys.stdin.buffer:
        name = bytes.fromhex(line.decode().strip())
        asked += 1
        if not (folder / os.fsdecode(name)).is_file():
            count += 1
            shown += [name.decode(errors="replace")] if len(shown) < SHOWN else []
    return {"asked": asked, "missing": count, "names": shown}


def main(home: Path, operation: str, *names: str) -> dict[str, Any]:
    """Do an operation on folders that are named from HOME."""
    folders = [home / name for name in names]
    if operation == "hold":  # for a backup: what is there before the dump, and after it
        clear(home)
        return link(home / LIVE, home / PART)
    if operation == "pack-held":
        link(home / LIVE, home / PART)
        found = pack(home / PART)
        _remove(home / PART)
        return found
    if operation == "drop":
        for folder in folders:
            _remove(folder)
        return {}
    if operation == "move":
        folders[1].parent.mkdir(exist_ok=True)
        _remove(folders[1])
        folders[0].rename(folders[1])
        return {}
    if operation == "swap":
        return swap(home / LIVE, *folders)
    single: dict[str, Callable[..., dict[str, Any]]] = {
        "link": link,
        "pack": pack,
        "unpack": unpack,
        "missing": missing,
        "count": counted,
    }
    return single[operation](*folders)


def become(owner: str) -> None:
    """Be `owner` (UID:GID) where root runs this for somebody else."""
    if owner and os.geteuid() == 0:
        uid, gid = map(int, owner.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        become(sys.argv[2])
        place.mkdir(exist_ok=True)
        with (place / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a killed task's program may still be at work
            print(json.dumps(main(place, *sys.argv[3:])), file=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
