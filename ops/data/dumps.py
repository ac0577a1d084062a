"""Dumps as files: which format one has, what it holds unpacked, and what plain SQL asks for."""

import gzip
import re
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from ops import packages, problems
from ops.client import Feed

PIECE = 1 << 20
LONGEST_LINE = 1 << 16  # bytes of a line that are looked at
TAR_END = 1024  # bytes of zeros
GZIP, ZSTD, CUSTOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PGDMP"
HEADER, FOOTER = b"-- PostgreSQL database dump\n", b"-- PostgreSQL database dump complete"

COPY = re.compile(rb"COPY .* FROM stdin;\s*")
COPY_END = re.compile(rb"\n\\\.\r?\n")
# What would leave the database that is being restored, or run a program.
LEAVES = re.compile(
    rb"\\(?!restrict\b|unrestrict\b)\S.*|(?:CREATE|DROP|ALTER)\s+DATABASE\s.*", re.IGNORECASE
)
OF_ROLES = re.compile(
    rb"(?:ALTER .* OWNER TO|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|CREATE POLICY|SET ROLE"
    rb"|SET SESSION AUTHORIZATION)\s.*"
)
NAME = rb'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
ROLES = re.compile(
    rb"\b(?:OWNER TO|TO|FROM|FOR ROLE|SET ROLE|AUTHORIZATION)\s+(%b(?:\s*,\s*%b)*)" % (NAME, NAME)
)
NO_ROLES = {"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "NONE", "DEFAULT"}


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
            raise problems.dump_unreadable(str(self.path), str(error)) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # known once its library is imported
                raise
            raise problems.dump_unreadable(str(self.path), str(error)) from error

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
            raise problems.no_dump(str(path), "is a folder without a toc.dat")
        return Dump(path, archive=True, packed="", parallel=True)
    with path.open("rb") as raw:
        start = raw.read(4)
    if not start:
        raise problems.no_dump(str(path), "is empty")
    packed = "gzip" if start.startswith(GZIP) else "zstd" if start == ZSTD else ""
    dump = Dump(path, archive=False, packed=packed, parallel=False)
    with dump.opened() as held:
        start = held.read(512)
    if start.startswith(CUSTOM):
        return Dump(path, archive=True, packed=packed, parallel=True)
    if start[257:262] == b"ustar" and start.startswith(b"toc.dat"):
        # pg_restore takes a tar that is cut off for one with fewer rows, and says nothing.
        if _last_bytes(dump, TAR_END).strip(b"\0"):
            raise problems.dump_unreadable(str(path), "its end is missing")
        return Dump(path, archive=True, packed=packed, parallel=False)
    if b"\0" in start or not start.strip():
        raise problems.no_dump(str(path), "holds neither SQL nor an archive of pg_dump")
    return dump


def _last_bytes(dump: Dump, count: int) -> bytes:
    last = b""
    with dump.opened() as file:
        if not dump.packed:
            file.seek(max(0, dump.path.stat().st_size - count))
        while piece := file.read(PIECE):
            last = (last + piece)[-count:]
    return last


@dataclass
class Scan:
    """Reads plain SQL as it streams by: the roles it names, and whether it is whole."""

    roles: set[str] = field(default_factory=set)
    leaves: str = ""
    has_header: bool = False
    has_footer: bool = False
    size: int = 0
    in_copy: bool = False
    rest: bytes = b""

    def take(self, piece: bytes) -> None:
        """Look at the next piece; what is left of it belongs to the one after."""
        self.size += len(piece)
        text = self.rest + piece
        start: int | None = 0
        begin = 0
        while start is not None:
            begin = start
            start = self._skip_rows(text, begin) if self.in_copy else self._line(text, begin)
        self.rest = _short(text[begin:], self.in_copy)

    def end(self) -> None:
        """There is no more."""
        if self.rest and not self.in_copy:
            self.take(b"\n")

    @property
    def cut_off(self) -> bool:
        """Whether its end is missing: pg_dump writes a last line, and ends what it copies."""
        return self.in_copy or (self.has_header and not self.has_footer)

    def _skip_rows(self, text: bytes, begin: int) -> int | None:
        """Where the rows that are copied end; None if that is not in this text."""
        found = COPY_END.search(text, begin)
        self.in_copy = not found
        return found.end() if found else None

    def _line(self, text: bytes, begin: int) -> int | None:
        """Where the line ends that begins there; None if that is not in this text."""
        end = text.find(b"\n", begin)
        if end < 0:
            return None
        self._look_at(text[begin : min(end, begin + LONGEST_LINE)])
        # The newline before an end of rows that follows at once is looked at again.
        return end if self.in_copy else end + 1

    def _look_at(self, line: bytes) -> None:
        self.has_header |= line.rstrip() == HEADER.rstrip()
        self.has_footer |= line.startswith(FOOTER)
        if COPY.fullmatch(line):
            self.in_copy = True
        elif LEAVES.fullmatch(line.rstrip()):
            self.leaves = self.leaves or line.rstrip()[:80].decode(errors="replace")
        elif OF_ROLES.fullmatch(line.rstrip()):
            for names in ROLES.findall(line):
                self.roles |= {_role(name) for name in re.findall(NAME, names)} - NO_ROLES


def scan(dump: Dump) -> Scan:
    """All of a plain dump, looked at."""
    found = Scan()
    with dump.opened() as file:
        while piece := file.read(PIECE):
            found.take(piece)
    found.end()
    return found


def _short(rest: bytes, in_copy: bool) -> bytes:
    """As much of a text without its end as has to be kept, so that no line fills the memory."""
    if in_copy:
        return rest[-4:]
    return rest if len(rest) <= 2 * LONGEST_LINE else rest[:LONGEST_LINE] + rest[-LONGEST_LINE:]


def _role(name: bytes) -> str:
    text = name.decode(errors="replace")
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text if text.upper() in NO_ROLES else text.lower()


def _unpacked(path: Path, packed: str) -> Any:
    if packed == "gzip":
        return gzip.open(path)
    if packed == "zstd":
        return zstd().open(path)
    return path.open("rb")


def zstd() -> ModuleType:
    """The standard library's module, or what stands in for it before Python 3.14."""
    if sys.version_info >= (3, 14):
        return import_module("compression.zstd")
    packages.ensure("zstd")
    return import_module("backports.zstd")
