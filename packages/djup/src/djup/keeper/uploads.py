"""The uploads: their contents once each in the store, by their SHA-256; a backup lists them.

So a night costs what was uploaded since the last one, and a restore can have the files of any
backup that is left.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from djup.host.process import PIECE
from djup.host.uploads import MEDIA_ROOT
from djup.keeper.seal import Seal
from djup.keeper.store import AT_ONCE, Store, path_of
from djup.terminal import console

ROOT = Path(MEDIA_ROOT)
FOLDER = "contents"  # in our own folders
LIST = ".files.json"
CONTENTS = ".contents"  # the names of its contents alone: to know which no backup has any more


@dataclass(frozen=True)
class Upload:
    """A file: its size in bytes, when it was changed (nanoseconds since 1970), its SHA-256."""

    size: int
    changed: int
    sha256: str


def found(hashes: Path) -> dict[str, Upload]:
    """The uploads that there are, by their paths; `hashes` is a file that keeps what was read: a
    file of the same size and time is taken to be the same."""
    known = _read(hashes)
    uploads = {}
    for path in _files(ROOT):
        name = str(path.relative_to(ROOT))
        try:
            uploads[name] = _upload(path, known.get(name))
        except FileNotFoundError:  # deleted meanwhile: no row names it now
            continue
    write(uploads, hashes)
    return uploads


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where, name) for name in names)


def _upload(path: Path, known: Upload | None) -> Upload:
    facts = path.stat()
    if known and (known.size, known.changed) == (facts.st_size, facts.st_mtime_ns):
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Upload(facts.st_size, facts.st_mtime_ns, digest)


def write(uploads: Mapping[str, Upload], file: Path) -> None:
    """Write the list, at once."""
    part = file.with_name(f"{file.name}.part")
    rows = {name: [u.size, u.changed, u.sha256] for name, u in uploads.items()}
    part.write_text(json.dumps(rows))
    part.replace(file)


def read(file: Path) -> dict[str, Upload]:
    """Read a list that `write` has written."""
    return {name: Upload(*row) for name, row in json.loads(file.read_text()).items()}


def _read(file: Path) -> dict[str, Upload]:
    try:
        return read(file)
    except (OSError, ValueError, TypeError):
        return {}


def content_name(upload: Upload, suffix: str) -> str:
    """What its contents are called in the store; `suffix` is that of encrypted files, or none."""
    return f"{upload.sha256}{suffix}"


def ship(uploads: Mapping[str, Upload], store: Store, seal: Seal, stage: Path) -> dict[str, Upload]:
    """Copy the contents that the store has not; gives the uploads whose contents it has then: one
    that was deleted or changed meanwhile is not among them."""
    there = store.files() if uploads else set()
    sources = {content_name(u, seal.suffix): (ROOT / name, u) for name, u in uploads.items()}
    missing = iter([name for name in sources if name not in there])
    new: set[str] = set()
    while batch := list(islice(missing, AT_ONCE)):
        new |= {name for name in batch if _stage(*sources[name], stage / path_of(name), seal)}
        store.put_files(stage)
        shutil.rmtree(stage)
    console.say(f"uploads: {len(uploads):,} files, {len(new):,} new")
    return {n: u for n, u in uploads.items() if content_name(u, seal.suffix) in there | new}


def _stage(path: Path, upload: Upload, target: Path, seal: Seal) -> bool:
    """Have a file under its name in the store, encrypted, or as a link; whether it is still what
    was found."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        facts = path.stat()
        if (facts.st_size, facts.st_mtime_ns) != (upload.size, upload.changed):
            return False
        if seal.encrypts:
            seal.close(path, target.parent).replace(target)
        else:
            target.symlink_to(path)
    except FileNotFoundError:
        return False
    return True


def missing(names: set[str], store: Store) -> list[str]:
    """Of these contents, those that the store lacks."""
    return sorted(names - store.files()) if names else []


def pack(
    uploads: Mapping[str, Upload], suffix: str, seal: Seal, contents: Path, target: Path
) -> list[Upload]:
    """Write the uploads of a backup as the archive that a restore takes, from a folder of their
    contents as they lie in the store; those that are whole. The others are named."""
    packed = []
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name, upload in sorted(uploads.items()):
            file = contents / content_name(upload, suffix)
            if not file.exists():
                console.say(f"the store lacks the upload {name}")
                continue
            with seal.opened(file) as plain:
                if sha256_of(plain) == upload.sha256:
                    _add(tar, name, upload, plain)
                    packed.append(upload)
                else:
                    console.say(f"the upload {name} is damaged in the store")
    return packed


def _add(tar: tarfile.TarFile, name: str, upload: Upload, plain: Path) -> None:
    entry = tarfile.TarInfo(f"./{name}")
    entry.size, entry.mtime, entry.mode = upload.size, upload.changed // 10**9, 0o644
    with plain.open("rb") as file:
        tar.addfile(entry, file)


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
