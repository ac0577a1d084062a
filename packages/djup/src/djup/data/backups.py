"""The folder backups/: a dump and its manifest for each backup, outside every volume."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from djup import ROOT
from djup.host.process import PIECE
from djup.postgres.contents import Contents
from djup.problems import problem
from djup.terminal import console
from djup.terminal.console import age

FOLDER = ROOT / "backups"


@dataclass(frozen=True)
class Files:
    """The uploads of a backup: the end of its archive's name, how many files and bytes they are,
    and the archive's size and SHA-256."""

    suffix: str
    count: int
    bytes: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Backup:
    """A dump, and what its manifest says: its number (a later one's is higher, whatever the clock
    says), when it was made (ISO 8601), of which project and database (with its note, where that was
    one beside the project's own), why, what was in it, its size in bytes and SHA-256, and whether
    it was verified by restoring it; `files` are the uploads, None where it has none."""

    dump: Path
    number: int
    created: str
    project: str
    database: str
    note: dict[str, Any]
    reason: str
    contents: Contents
    size: int
    sha256: str
    verified: bool
    files: Files | None = None

    @property
    def archive(self) -> Path:
        """Where the archive of its files is."""
        return archive_of(self.dump, self.files.suffix if self.files else "")

    @property
    def name(self) -> str:
        """Its file's name without `.dump`."""
        return self.dump.name.removesuffix(".dump")


def manifest_of(dump: Path) -> Path:
    """Where the manifest of a dump is."""
    return dump.with_name(f"{dump.name.removesuffix('.dump')}.json")


def archive_of(dump: Path, suffix: str) -> Path:
    """Where the archive of the files is that belong to a dump."""
    return dump.with_name(f"{dump.name.removesuffix('.dump')}{suffix}")


def words_of(files: Files) -> str:
    """`12 files, 3.4 MB`."""
    return f"{files.count:,} files, {console.size(files.bytes)}"


def all_of(folder: Path = FOLDER) -> list[Backup]:
    """Every backup in the folder, the newest first; a dump without its manifest is none."""
    readable = (read(path) for path in folder.glob("*.dump"))
    return sorted((b for b in readable if b), key=lambda backup: backup.number, reverse=True)


def read(dump: Path) -> Backup | None:
    """The backup that a dump is, by its manifest; None where it has none that can be read."""
    try:
        record = json.loads(manifest_of(dump).read_text(encoding="utf-8"))
        files = Files(**record["files"]) if record.get("files") else None
        known = {**record, "dump": dump, "contents": Contents(**record["contents"])}
        return Backup(**{**known, "files": files})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_manifest(backup: Backup) -> None:
    """Write the manifest, at once, readable by its owner alone."""
    target = manifest_of(backup.dump)
    part = target.with_name(f"{target.name}.part")
    part.touch(0o600)
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(_record(backup), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())  # a dump without its manifest would be no backup
    part.replace(target)


def mark_verified(backup: Backup) -> None:
    """Note that the dump was restored, and held what the manifest says."""
    write_manifest(replace(backup, verified=True))


def free_name(project: str, migrations: list[str], label: str = "") -> Path:
    """A dump's path by project, time, and the last migration; one that is not taken."""
    last = re.sub(r"[^A-Za-z0-9._-]", "-", label or (migrations[-1] if migrations else "empty"))
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"{project}-{moment}-{last}"[:200]
    names = (f"{stem}{f'-{n}' if n else ''}.dump" for n in range(1000))
    return next(FOLDER / name for name in names if not _taken(FOLDER / name))


def next_number() -> int:
    """One more than any backup has."""
    return max((backup.number for backup in all_of()), default=0) + 1


def remove_parts() -> None:
    """Remove the unfinished files that a killed task has left; the caller holds the lock."""
    for part in FOLDER.glob("*.part"):
        part.unlink(missing_ok=True)


def make_folder() -> None:
    """The folder, closed to others: a dump holds everything."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)


def pieces(path: Path) -> Iterator[bytes]:
    """A file, bit by bit."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def refuse_damaged(backup: Backup, *, with_files: bool = True) -> None:
    """Raise unless the dump and, where that is wanted, the archive of its files are what was
    written."""
    _refuse_damaged(backup.dump, backup.sha256, backup.size)
    if with_files and (files := backup.files):
        if not backup.archive.exists():
            raise problem("BAK22", path=str(backup.archive), name=backup.name)
        _refuse_damaged(backup.archive, files.sha256, files.size)


def _refuse_damaged(path: Path, sha256: str, written: int) -> None:
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    if digest.hexdigest() == sha256:
        return
    size = path.stat().st_size
    if size == written:
        raise problem("BAK03", path=str(path))
    raise problem("BAK03.size", path=str(path), size=f"{size:,}", written=f"{written:,}")


def as_json(backups: Sequence[Backup]) -> str:
    """For scripts."""
    return console.as_json([_record(backup) for backup in backups])


def as_text(backups: Sequence[Backup]) -> str:
    """For the person at the terminal."""
    if not backups:
        return "no backups; inv db.backup creates one"
    heads = ("BACKUP", "AGE", "SIZE", "ROWS", "FILES", "VERIFIED", "WHY")
    return console.table(heads, [_row(backup) for backup in backups])


def _row(backup: Backup) -> tuple[str, ...]:
    return (
        backup.name,
        age(backup.created),
        console.size(backup.size),
        f"{backup.contents.rows:,}",
        f"{backup.files.count:,}" if backup.files else "-",
        "yes" if backup.verified else "no",
        backup.reason,
    )


def _record(backup: Backup) -> dict[str, Any]:
    return {**asdict(backup), "dump": backup.dump.name}


def _taken(dump: Path) -> bool:
    return any(p.exists() for p in (dump, manifest_of(dump), dump.with_name(f"{dump.name}.part")))
