"""A dump loaded into a new database: by pg_restore or psql, which stop at the first error."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ops import problems
from ops.client import MAINTENANCE, SCRIPT, Client, Feed, last_error, named
from ops.data import backups, roles
from ops.data.dumps import Dump, Scan, recognise, scan
from ops.process import Result
from ops.progress import bar

WITHOUT_ROLES = ("--no-owner", "--no-privileges")  # all is ours then, as it is in the end anyhow


def into(client: Client, dump: Dump, part: str, expected: int = 0) -> None:
    """Load a dump of any kind into the database `part`; `expected` is its size there in bytes."""
    if dump.archive:
        _archive(client, dump, part, expected)
    else:
        _plain(client, dump, part)


def archive(client: Client, path: Path, part: str, expected: int = 0) -> None:
    """The same, of a dump of our own."""
    _archive(client, recognise(path), part, expected)


def feed(path: Path) -> Feed:
    """What writes a file to a program, byte by byte."""

    def write(stdin: IO[bytes]) -> None:
        for piece in backups.pieces(path):
            stdin.write(piece)

    return write


def _archive(client: Client, dump: Dump, part: str, expected: int) -> None:
    with _in_reach(client, dump) as name:
        wanted = _roles_of_archive(client, dump, name)
        flags = [f"--jobs={min(4, os.cpu_count() or 1)}"] if dump.parallel else []
        if not roles.may_own(client, wanted):
            flags, wanted = [*flags, *WITHOUT_ROLES], set()
        with roles.borrowed(client, wanted, part), _growth(client, part, expected):
            argv = ["--exit-on-error", *flags, named(part), name]
            done = client.load(lambda stdin: None, "pg_restore", *argv, database=part)
            _succeed(done, dump)


@contextmanager
def _in_reach(client: Client, dump: Dump) -> Iterator[str]:
    """The archive's name for the programs: a parallel restore reads it by name, in any order."""
    if not client.container and not dump.packed:
        yield str(dump.path)
        return
    with client.staged(dump.feed(), unpack=dump.path.is_dir()) as name:
        yield name


def _roles_of_archive(client: Client, dump: Dump, name: str) -> set[str]:
    found = Scan()
    done = client.receive(found.take, "pg_restore", "--schema-only", "--file=-", name)
    _succeed(done, dump)
    return found.roles


def _plain(client: Client, dump: Dump, part: str) -> None:
    found = scan(dump)
    if found.leaves:
        raise problems.dump_leaves(str(dump.path), found.leaves)
    if found.cut_off:
        raise problems.dump_unreadable(str(dump.path), "its end is missing")
    sent = 0

    def write(stdin: IO[bytes]) -> None:
        nonlocal sent
        with dump.opened() as file:
            while piece := file.read(backups.PIECE):
                stdin.write(piece)
                sent += len(piece)

    with roles.borrowed(client, found.roles, part), bar("restoring", lambda: sent, found.size):
        done = client.load(write, "psql", *SCRIPT, "--output=/dev/null", database=part)
        _succeed(done, dump)


def _succeed(done: Result, dump: Dump) -> None:
    if done.code:
        raise problems.restore_failed(str(dump.path), last_error(done.err))


@contextmanager
def _growth(client: Client, part: str, expected: int) -> Iterator[None]:
    """A bar of how far the new database has grown, for a person who watches."""
    if not sys.stderr.isatty():
        yield
        return
    name = part.replace("'", "''")
    question = f"SELECT pg_database_size('{name}');"
    with (
        client.session(MAINTENANCE) as session,
        bar("restoring", lambda: int(session.ask(question)[0]), expected),
    ):
        yield
