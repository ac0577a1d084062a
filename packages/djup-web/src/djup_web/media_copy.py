"""Copy uploads from a folder into a bucket, or back; what is there already is not sent again.

Each file is there as a whole or not at all, so that a copy that was broken off goes on with the
next one. Two files are the same if their sizes and ETags are (MD5, of 8 MiB parts for large ones)
or, where a bucket has other ETags, the SHA-256 that is stored with each.
"""

import hashlib
import mimetypes
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from boto3.s3.transfer import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    TransferConfig,
)
from djup_web.bucket import BucketStorage

PART = 8 * 2**20
TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
THREADS = 8
SHA = "sha256"


@dataclass(frozen=True)
class Stored:
    """A file in a bucket: its size, and the hash that the bucket has of it."""

    size: int
    etag: str


@dataclass
class Counts:
    """What was done: files and bytes that were copied, files that were there."""

    copied: int = 0
    bytes: int = 0
    present: int = 0


class Bucket:
    """The bucket of a storage, below the storage's folder."""

    def __init__(self, storage: BucketStorage) -> None:
        self.storage = storage
        self.client = storage.connection.meta.client
        self.name = storage.bucket_name
        self.prefix = f"{storage.location}/" if storage.location else ""

    def listed(self) -> dict[str, Stored]:
        """Its files by name, a thousand to a question."""
        pages = self.client.get_paginator("list_objects_v2")
        found = (
            entry
            for page in pages.paginate(Bucket=self.name, Prefix=self.prefix)
            for entry in page.get("Contents", ())
        )
        return {
            entry["Key"][len(self.prefix) :]: Stored(entry["Size"], entry["ETag"].strip('"'))
            for entry in found
            if not entry["Key"].endswith("/")  # a folder, as some clients make it
        }

    def has(self, name: str, stored: Stored | None, file: Path) -> bool:
        """Whether the file in the folder and the one here are the same."""
        if stored is None or not file.is_file() or stored.size != file.stat().st_size:
            return False
        if stored.etag in etags_of(file):
            return True
        head = self.client.head_object(Bucket=self.name, Key=self.prefix + name)
        return bool(head.get("Metadata", {}).get(SHA) == sha256_of(file))

    def put(self, name: str, file: Path) -> None:
        """Store a file, with what a browser is told of it."""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        told = {"ContentType": kind, **self.storage.get_object_parameters(name)}
        extra = {**told, "Metadata": {SHA: sha256_of(file)}}
        key = self.prefix + name
        self.client.upload_file(str(file), self.name, key, ExtraArgs=extra, Config=TRANSFER)

    def fetch(self, name: str, file: Path) -> None:
        """Have a file here under its name once it is whole."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{uuid.uuid4().hex}.part")
        try:
            self.client.download_file(self.name, self.prefix + name, str(part), Config=TRANSFER)
            part.chmod(0o644)  # the proxy reads it
            os.replace(part, file)  # noqa: PTH105
        finally:
            part.unlink(missing_ok=True)


def files_in(folder: Path) -> dict[str, int]:
    """The sizes of the files in a folder by name, without those whose name begins with a dot."""
    names = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    relative = ((file.relative_to(folder), file) for file in names)
    return {
        name.as_posix(): file.stat().st_size
        for name, file in relative
        if not any(part.startswith(".") for part in name.parts)
    }


def up(folder: Path, bucket: Bucket, tell: Callable[[str], None]) -> tuple[Counts, list[str]]:
    """Copy a folder into a bucket; what was done, and the files that are not there in the end."""
    there = bucket.listed()

    def one(name: str) -> int:
        file = folder / name
        if bucket.has(name, there.get(name), file):
            return 0
        bucket.put(name, file)
        return 1

    wanted = files_in(folder)
    counts = _counted(one, wanted, tell)
    sizes = {name: stored.size for name, stored in bucket.listed().items()}
    return counts, _lacking(wanted, sizes)


def down(bucket: Bucket, folder: Path, tell: Callable[[str], None]) -> tuple[Counts, list[str]]:
    """Copy a bucket into a folder; what was done, and the files that are not there in the end."""
    there = {name: stored for name, stored in bucket.listed().items() if is_inside(name)}

    def one(name: str) -> int:
        if bucket.has(name, there[name], folder / name):
            return 0
        bucket.fetch(name, folder / name)
        return 1

    wanted = {name: stored.size for name, stored in there.items()}
    counts = _counted(one, wanted, tell)
    return counts, _lacking(wanted, files_in(folder))


def is_inside(name: str) -> bool:
    """Whether a key of a bucket is the name of a file below a folder."""
    parts = name.split("/")
    return not any(part in ("", "..") or part.startswith(".") for part in parts)


def _counted(
    one: Callable[[str], int], sizes: dict[str, int], tell: Callable[[str], None]
) -> Counts:
    counts = Counts()
    for name, copied in _in_threads(one, [*sizes]):
        counts.copied += copied
        counts.bytes += sizes[name] * copied
        counts.present += 1 - copied
        if (done := counts.copied + counts.present) % 1000 == 0:
            tell(f"{done:,} of {len(sizes):,} files ...")
    return counts


def _in_threads(one: Callable[[str], int], names: list[str]) -> Iterator[tuple[str, int]]:
    """Each name with what `one` says of it; where one fails, no further one is begun."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from zip(names, pool.map(one, names), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _lacking(wanted: dict[str, int], there: dict[str, int]) -> list[str]:
    return sorted(name for name, size in wanted.items() if there.get(name) != size)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(PART):
            yield block


def etags_of(file: Path) -> tuple[str, str]:
    """The ETags that a bucket may have of a file: that of the whole, that of its parts."""
    whole, parts = hashlib.md5(usedforsecurity=False), []
    for block in _blocks(file):
        whole.update(block)
        parts.append(hashlib.md5(block, usedforsecurity=False).digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False)
    return whole.hexdigest(), f"{joined.hexdigest()}-{len(parts)}"


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    for block in _blocks(file):
        digest.update(block)
    return digest.hexdigest()
