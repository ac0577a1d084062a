"""A dump loaded into a new database: by pg_restore or psql, which stop at the first error."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from djup.data import backups
from djup.data.dump_file import Dump, recognise, scan
from djup.data.dump_scan import Range, Scan, without
from djup.host.process import PIECE, Result
from djup.postgres import roles
from djup.postgres.client import SCRIPT, Client, Feed, last_error, named
from djup.problems import problem
from djup.terminal.progress import bar, is_shown

HEAD = 1 << 18  # bytes of SQL in which the settings are, and the schema public
# Settings that a dump begins with, and every server since 13 has.
EVERYWHERE = {
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "row_security"),
    *("client_encoding", "standard_conforming_strings", "check_function_bodies", "xmloption"),
    *("client_min_messages", "default_tablespace", "default_table_access_method"),
}
UNKNOWN = r"""
\getenv names NAMES
SELECT name FROM json_array_elements_text(:'names') AS name
WHERE current_setting(name, true) IS NULL;
"""
# A newer pg_dump's archive, or one that is packed as this pg_restore does not know.
UNREADABLE = re.compile(r"unsupported version \([\d.]+\)|does not support compression with \w+")
JOBS = 4  # at most; compose/db.yaml has shared memory for so many index builds
WITHOUT_ROLES = ("--no-owner", "--no-privileges")  # all is ours then, as it is in the end anyhow


def into(client: Client, dump: Dump, part: str, expected: int = 0) -> None:
    """Load a dump of any kind into the database `part`; `expected` is its size there in bytes."""
    if dump.archive:
        _archive(client, dump, part, expected)
    else:
        _plain(client, dump, part)


def archive(client: Client, path: Path, part: str, expected: int) -> None:
    """Load a dump of our own into the database `part`."""
    _archive(client, recognise(path), part, expected)


def feed(path: Path) -> Feed:
    """What writes a file to a program, byte by byte."""

    def write(stdin: IO[bytes]) -> None:
        for piece in backups.pieces(path):
            stdin.write(piece)

    return write


def _archive(client: Client, dump: Dump, part: str, expected: int) -> None:
    with _in_reach(client, dump) as name:
        scanned = _looked_at(client, dump, name)
        wanted, flags = scanned.roles, []
        if not roles.may_own(client, wanted):
            flags, wanted = [*WITHOUT_ROLES], set()
        unknown = _unknown(client, scanned)
        as_sql = bool(unknown) or (scanned.makes_public and not _has_no_public(client, part))
        with roles.borrowed(client, wanted, part), _growth(client, part, expected):
            if as_sql:
                done = _as_sql(client, unknown, part, [*flags, name])
            else:
                jobs = [f"--jobs={min(JOBS, os.cpu_count() or 1)}"] if dump.parallel else []
                argv = ["--exit-on-error", *jobs, *flags, named(part), name]
                done = client.load(lambda stdin: None, "pg_restore", *argv, database=part)
            _succeed(done, dump)


def _as_sql(client: Client, unknown: set[str], part: str, argv: Sequence[str]) -> Result:
    """By way of SQL, less what this server does not take: pg_restore itself would send it all."""
    dumped: list[Result] = []

    def write(stdin: IO[bytes]) -> None:
        head = Head(stdin, unknown)
        dumped.append(client.receive(head.take, "pg_restore", *argv, "--file=-"))
        head.end()

    done = client.load(write, "psql", *SCRIPT, "--output=/dev/null", database=part)
    return next((result for result in dumped if result.code), done)


@dataclass
class Head:
    """Passes SQL on, less the `unknown` settings and the schema public, which come first."""

    out: IO[bytes]
    unknown: set[str]
    held: bytes = b""
    passed: bool = False

    def take(self, piece: bytes) -> None:
        """The next piece."""
        if self.passed:
            self.out.write(piece)
            return
        self.held += piece
        if len(self.held) > HEAD:
            self.end()

    def end(self) -> None:
        """There is no more that is looked at."""
        scanned = Scan()
        scanned.take(self.held)
        cuts = sorted([*scanned.cuts, *_settings(scanned, self.unknown)])
        self.out.write(without(self.held, 0, cuts))
        self.held, self.passed = b"", True


def _settings(scanned: Scan, unknown: set[str]) -> list[Range]:
    return [place for name, place in scanned.settings.items() if name in unknown]


def _unknown(client: Client, scanned: Scan) -> set[str]:
    """The settings in a dump that the server does not have, as it is older than pg_dump."""
    asked = scanned.settings.keys() - EVERYWHERE
    if not asked:
        return set()
    return set(client.ask(UNKNOWN, NAMES=json.dumps(sorted(asked))).splitlines())


def _has_no_public(client: Client, part: str) -> bool:
    """Drop the schema that a dump makes itself; not everybody may."""
    return not client.script("DROP SCHEMA public;", part).code


@contextmanager
def _in_reach(client: Client, dump: Dump) -> Iterator[str]:
    """The archive's name for the programs: a parallel restore reads it by name, in any order."""
    if not client.container and not dump.packed:
        yield str(dump.path)
        return
    with client.staged(dump.feed(), unpack=dump.path.is_dir()) as name:
        yield name


def _looked_at(client: Client, dump: Dump, name: str) -> Scan:
    """What an archive asks for, less the rows."""
    scanned = Scan()
    done = client.receive(scanned.take, "pg_restore", "--schema-only", "--file=-", name)
    _succeed(done, dump)
    return scanned


def _plain(client: Client, dump: Dump, part: str) -> None:
    scanned = scan(dump)
    if scanned.leaves:
        raise problem("BAK05", path=str(dump.path), line=scanned.leaves)
    if scanned.cut_off:
        raise problem("BAK04", path=str(dump.path), why="its end is missing")
    cuts, wanted = [*scanned.cuts, *_settings(scanned, _unknown(client, scanned))], scanned.roles
    if not roles.may_own(client, wanted):
        cuts, wanted = [*cuts, *scanned.rights], set()
    cuts.sort()
    sent = 0

    def write(stdin: IO[bytes]) -> None:
        nonlocal sent
        with dump.opened() as file:
            while piece := file.read(PIECE):
                stdin.write(without(piece, sent, cuts))
                sent += len(piece)

    with roles.borrowed(client, wanted, part), bar("restoring", lambda: sent, scanned.size):
        done = client.load(write, "psql", *SCRIPT, "--output=/dev/null", database=part)
        _succeed(done, dump)


def _succeed(done: Result, dump: Dump) -> None:
    if done.code and (what := UNREADABLE.search(done.err)):
        raise problem("BAK18", path=str(dump.path), why=what[0])
    if done.code:
        raise problem("BAK07", path=str(dump.path), reason=last_error(done.err).rstrip("."))


@contextmanager
def _growth(client: Client, part: str, expected: int) -> Iterator[None]:
    """A bar of how far the new database has grown, for a person who watches."""
    if not is_shown():
        yield
        return
    name = part.replace("'", "''")
    question = f"SELECT pg_database_size('{name}');"
    with (
        client.session(client.maintenance) as session,
        bar("restoring", lambda: int(session.ask(question)[0]), expected),
    ):
        yield
