"""The uploads beside the database: packed with its dump, restored, kept and dropped with it."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from djup.data import dump_file
from djup.data.backups import Backup, Files
from djup.data.databases import Beside
from djup.data.sink import Sink
from djup.host import process
from djup.host.uploads import PART, beside
from djup.postgres.client import SCRIPT, Client, Feed
from djup.problems import problem
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.progress import bar

LIVE = "files"
SUFFIXES = {"zstd": ".files.tar.zst", "gzip": ".files.tar.gz"}
# Names as hexadecimal: any byte may be in one, and a line of psql's ends at the first line feed.
SELECT = r"""
\getenv fields FIELDS
SELECT format('SELECT encode(convert_to(%L || %I, ''UTF8''), ''hex'') FROM %s WHERE %I <> ''''',
  prefix, attname, attrelid::regclass, attname)
FROM json_to_recordset(:'fields'::json) AS field("table" text, "column" text, prefix text)
JOIN pg_attribute ON attrelid = to_regclass(quote_ident("table")) AND attname = "column"
WHERE NOT attisdropped;
"""


def token() -> str:
    """A new name for a folder of uploads that is kept."""
    return secrets.token_hex(8)


def folder_of(client: Client, other: Beside | None) -> str:
    """The folder of a database's uploads, of the project's own without one; '' if it has none."""
    if not client.uploads or (other and not other.note.files):
        return ""
    return beside(other.note.files) if other else LIVE


def drop(client: Client, kept: str) -> None:
    """Drop the uploads that are kept under a token, if there are any."""
    if kept and client.uploads:
        client.uploads.ask("drop", beside(kept))


def hold(client: Client, folder: str) -> None:
    """Before a dump: note which files there are, so that those that are deleted until it is
    written are in the backup all the same."""
    if folder == LIVE and client.uploads:
        client.uploads.ask("hold")


def pack(client: Client, folder: str, part: Path) -> Files | None:
    """Pack a database's uploads into a file, after its dump; None where there are none to."""
    if not (folder and client.uploads):
        return None
    part.touch(0o600)
    operation = ("pack-held",) if folder == LIVE else ("pack", folder)
    with part.open("wb") as file:
        sink = Sink(file)
        with bar("files", lambda: sink.size, 0):
            found = client.uploads.receive(sink.take, *operation)
        file.flush()
        os.fsync(file.fileno())
    suffix = SUFFIXES[dump_file.packed(part)]
    return Files(suffix, found["count"], found["bytes"], sink.size, sink.sha256.hexdigest())


@contextmanager
def unpacked(client: Client, backup: Backup | None, wanted: bool = True) -> Iterator[str]:
    """The files of a backup in a folder beside the uploads, compared with its manifest; removed
    after, unless the block has put it in place. '' where the backup has none."""
    if not (backup and backup.files and client.uploads and wanted):
        yield ""
        return
    try:
        with bar("files", lambda: 0, 0):
            found = client.uploads.send(_feed(backup), "unpack", PART)
        if found != {"count": backup.files.count, "bytes": backup.files.bytes}:
            written = {"count": backup.files.count, "bytes": backup.files.bytes}
            path, was, now = str(backup.archive), _words(written), _words(found)
            raise problem("BAK20", path=path, found=now, written=was)
        yield PART
    finally:
        client.uploads.ask("drop", PART)


def _words(found: dict[str, int]) -> str:
    return f"{found['count']:,} files of {found['bytes']:,} bytes"


def _feed(backup: Backup) -> Feed:
    """What writes the unpacked archive: by the program zstd, where Python has no such module."""
    path = backup.archive

    def write(stdin: IO[bytes]) -> None:
        if path.name.endswith(".zst") and not dump_file.has_zstd() and shutil.which("zstd"):
            process.receive(["zstd", "-q", "-d", "-c", str(path)], stdin.write)
            return
        dump_file.Dump(path, archive=True, packed=_packing(path), parallel=False).feed()(stdin)

    return write


def _packing(path: Path) -> str:
    return "zstd" if path.name.endswith(".zst") else "gzip"


def refuse_missing(stack: Stack, client: Client, database: str, folder: str, name: str) -> None:
    """Raise with the files that rows of a restored database name, and that its folder lacks."""
    assert client.uploads
    query = _query(stack, client, database)
    if not query:
        return

    def feed(stdin: IO[bytes]) -> None:
        client.receive(stdin.write, "psql", *SCRIPT, "--command", query, database=database)

    found = client.uploads.send(feed, "missing", folder)
    if found["missing"]:
        names = "\n".join(json.dumps(name, ensure_ascii=False) for name in found["names"])
        count, asked = found["missing"], found["asked"]
        raise problem("BAK21", names, name=name, count=f"{count:,}", asked=f"{asked:,}")
    console.say(f"verified: {found['asked']:,} files that rows name are there")


def _query(stack: Stack, client: Client, database: str) -> str:
    """One question for all the names that rows have; '' where no model has a field for files."""
    told = stack.ask_manage(["file_fields"])
    if told.code:
        console.say("the files that rows name were not looked up: manage.py file_fields failed")
        console.say(told.err.strip().splitlines()[-1] if told.err.strip() else "")
        return ""
    fields = told.out.strip().splitlines()[-1]
    return " UNION ALL ".join(client.ask(SELECT, database, FIELDS=fields).splitlines())


@contextmanager
def linked_aside(client: Client) -> Iterator[str]:
    """The token of a copy of the uploads, by hard links: what is there before the block, and what
    is there after it. '' where the tasks know of no uploads."""
    if not client.uploads:
        yield ""
        return
    kept = token()
    try:
        client.uploads.ask("link", LIVE, beside(kept))
        yield kept
    except BaseException:
        drop(client, kept)
        raise
    client.uploads.ask("link", LIVE, beside(kept))


def linked(client: Client, snapshot: Beside) -> str:
    """A folder with a snapshot's uploads, which the snapshot keeps; '' if it has none."""
    folder = folder_of(client, snapshot)
    if folder and client.uploads:
        client.uploads.ask("drop", PART)
        client.uploads.ask("link", folder, PART)
        return PART
    return ""


def keep(client: Client, kept: str) -> None:
    """Keep the folder that was unpacked under a token, if that is a database's."""
    if kept and client.uploads:
        client.uploads.ask("move", PART, beside(kept))
