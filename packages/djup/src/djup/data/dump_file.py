"""Dumps as files: which format one has, what it holds unpacked, and what plain SQL asks for."""

import gzip
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from djup.data.dump_scan import Scan
from djup.host import packages
from djup.host.process import PIECE
from djup.postgres.client import Feed
from djup.problems import problem

TAR_END = 1024  # bytes of zeros
GZIP, ZSTD, CUSTOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PGDMP"


@dataclass
class Dump:
    """A dump that somebody has made: `archive` is what pg_restore reads (custom, tar or a folder),
    anything else is plain SQL; `packed` is gzip, zstd or ''."""

    path: Path
    archive: bool
    packed: str
    parallel: bool

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """What it holds, unpacked; a problem if it is cut off or damaged."""
        try:
            with _unpacked(self.path, self.packed) as file:
                yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise problem("BAK04", path=str(self.path), why=str(error)) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # known once its library is imported
                raise
            raise problem("BAK04", path=str(self.path), why=str(error)) from error

    def feed(self) -> Feed:
        """What writes it, unpacked, to a program; a folder as a tar archive."""

        def write(stdin: IO[bytes]) -> None:
            if self.path.is_dir():
                with tarfile.open(fileobj=stdin, mode="w|") as archive:
                    for member in sorted(self.path.iterdir()):
                        archive.add(member, arcname=member.name)
                return
            with self.opened() as file:
                while piece := file.read(PIECE):
                    stdin.write(piece)

        return write


def recognise(path: Path) -> Dump:
    """Which kind of dump is there, by its first bytes; a problem if it is none."""
    if path.is_dir():
        if not (path / "toc.dat").exists():
            raise problem("BAK02", path=str(path), why="is a folder without a toc.dat")
        return Dump(path, archive=True, packed="", parallel=True)
    plain = Dump(path, archive=False, packed=packed(path), parallel=False)
    with plain.opened() as unpacked:
        start = unpacked.read(512)
    if start.startswith(CUSTOM):
        return replace(plain, archive=True, parallel=True)
    if start[257:262] == b"ustar" and start.startswith(b"toc.dat"):
        _refuse_cut_tar(plain)
        return replace(plain, archive=True)
    if b"\0" in start or not start.strip():
        raise problem("BAK02", path=str(path), why="is neither SQL nor an archive of pg_dump")
    return plain


def packed(path: Path) -> str:
    """How a file is packed, by its first bytes; '' where it is not."""
    with path.open("rb") as raw:
        start = raw.read(4)
    if not start:
        raise problem("BAK02", path=str(path), why="is empty")
    if start == ZSTD:
        return "zstd"
    return "gzip" if start.startswith(GZIP) else ""


def _refuse_cut_tar(dump: Dump) -> None:
    """Raise where the end is missing: pg_restore would take it for one with fewer rows."""
    if _last_bytes(dump, TAR_END).strip(b"\0"):
        raise problem("BAK04", path=str(dump.path), why="its end is missing")


def _last_bytes(dump: Dump, count: int) -> bytes:
    last = b""
    with dump.opened() as file:
        if not dump.packed:
            file.seek(max(0, dump.path.stat().st_size - count))
        while piece := file.read(PIECE):
            last = (last + piece)[-count:]
    return last


def scan(dump: Dump) -> Scan:
    """All of a plain dump, looked at."""
    scanned = Scan()
    with dump.opened() as file:
        while piece := file.read(PIECE):
            scanned.take(piece)
    scanned.end()
    return scanned


def _unpacked(path: Path, packed: str) -> Any:
    if packed == "gzip":
        return gzip.open(path)
    if packed == "zstd":
        return zstd().open(path)
    return path.open("rb")


def has_zstd() -> bool:
    """Whether Python has the module, without anything being installed for it."""
    return sys.version_info >= (3, 14) or packages.is_installed("zstd")


def zstd() -> ModuleType:
    """The standard library's module, or what stands in for it before Python 3.14."""
    if sys.version_info >= (3, 14):
        return import_module("compression.zstd")
    packages.ensure("zstd")
    return import_module("backports.zstd")
