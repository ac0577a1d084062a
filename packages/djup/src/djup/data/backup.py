"""A backup: the project's database dumped into backups/, read back, and on request restored."""

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from djup.data import backups, databases, files, load
from djup.data.backups import Backup
from djup.data.databases import Beside
from djup.data.sink import Sink
from djup.host import process
from djup.host.checkout_lock import one_at_a_time
from djup.postgres import contents
from djup.postgres.client import Client, last_error
from djup.postgres.contents import Contents
from djup.problems import problem
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.progress import bar
from djup.terminal.task import this_task


def run(stack: Stack, to: str, verify: bool, with_files: bool = True) -> None:
    """Make a backup, in backups/ or as the file `to`; say what it is."""
    databases.refuse_without_data(stack)
    with one_at_a_time("db.backup"), stack.client() as client:
        if this_task.dry:
            process.show(client.command("pg_dump", *_arguments(client, "SNAPSHOT"))[0])
            return
        backup = make(client, "asked for", target=_target(to), with_files=with_files)
        if verify:
            check(client, backup, stack)
    console.answer(str(backup.dump))


def make(
    client: Client,
    reason: str,
    *,
    other: Beside | None = None,
    target: Path | None = None,
    with_files: bool = True,
) -> Backup:
    """Dump the project's database, or another beside it, to a file that appears under its name
    when it is whole and has been read back; its uploads first are in an archive beside it. The
    caller holds the lock."""
    client.refuse_newer_server()
    database = other.database if other else client.database
    backups.make_folder()
    backups.remove_parts()
    part = Path(f"{target}.part") if target else backups.FOLDER / f"{client.project}.part"
    packed = part.with_name(f"{part.name.removesuffix('.part')}.files.part")
    folder = files.folder_of(client, other) if with_files else ""
    try:
        files.hold(client, folder)
        dump = _write(client, database, part)
        archive = files.pack(client, folder, packed)
        label = other.name if other else ""
        path = target or backups.free_name(client.project, dump.contents.migrations, label)
        note = asdict(other.note) if other else {}
        facts = {"database": database, "note": note, "reason": reason, "files": archive}
        return _keep(client.project, (part, packed), path, dump, **facts)
    finally:
        part.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)


def check(client: Client, backup: Backup, stack: Stack | None = None) -> None:
    """Restore it into a database of its own, compare, look for the files that its rows name, and
    note that it is verified; or raise. The models of `stack` tell where rows name files."""
    backups.refuse_damaged(backup)
    with databases.new_part(client) as part:
        load.archive(client, backup.dump, part, expected=backup.contents.bytes)
        differing = contents.differences(backup.contents, contents.read(client, part), exact=False)
        if differing:
            raise problem("BAK08", "\n".join(differing[:8]), name=backup.name)
        with files.unpacked(client, backup) as folder:
            if folder and stack:
                files.refuse_missing(stack, client, part, folder, backup.name)
    backups.mark_verified(backup)
    console.say(f"verified: {words(backup.contents)} restored")


def words(held: Contents) -> str:
    """`12 tables, 3,400 rows`."""
    return f"{len(held.tables)} tables, {held.rows:,} rows"


@dataclass(frozen=True)
class WrittenDump:
    """What was written: how many bytes, their SHA-256, and what was in the database."""

    size: int
    sha256: str
    contents: Contents


def _write(client: Client, database: str, part: Path) -> WrittenDump:
    """The dump as a part, on disk for good, and the contents at the same moment."""
    part.touch(0o600)
    with client.session(database) as session, part.open("wb") as file:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT pg_export_snapshot();"
        [snapshot] = session.ask(begin)
        contents.begin(session)
        sink = Sink(file)
        with bar("dumping", lambda: sink.size, 0):
            argv = _arguments(client, snapshot)
            done = client.receive(sink.take, "pg_dump", *argv, database=database)
        if done.code:
            raise problem("BAK06", reason=last_error(done.err))
        held = contents.answer(session)
        file.flush()
        os.fsync(file.fileno())
    _read_back(client, part)
    return WrittenDump(sink.size, sink.sha256.hexdigest(), held)


def _arguments(client: Client, snapshot: str) -> tuple[str, ...]:
    return ("--format=custom", f"--compress={client.compression}", f"--snapshot={snapshot}")


def _read_back(client: Client, part: Path) -> None:
    """Its table of contents, as a restore would read it; that of an empty database has no entry."""
    done = client.send(load.feed(part), "pg_restore", "--list")
    if done.code or not done.out.strip():
        raise problem("BAK06", reason=last_error(done.err))


def _keep(
    project: str, parts: tuple[Path, Path], path: Path, dump: WrittenDump, **facts: Any
) -> Backup:
    """The files and the manifest first, then the rename: what is named .dump is whole."""
    backup = Backup(
        dump=path,
        number=backups.next_number(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        project=project,
        contents=dump.contents,
        size=dump.size,
        sha256=dump.sha256,
        verified=False,
        **facts,
    )
    part, packed = parts
    if backup.files:
        packed.replace(backup.archive)
    backups.write_manifest(backup)
    part.replace(path)
    _sync(path.parent)
    console.say(f"backup {backup.name}: {words(dump.contents)}, {console.size(dump.size)}")
    if backup.files:
        console.say(f"  and {backups.words_of(backup.files)}, {console.size(backup.files.size)}")
    return backup


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _target(to: str) -> Path | None:
    """The file that was asked for; in a folder that is there, and not there itself, nor its
    manifest, unless a killed task has left that."""
    if not to:
        return None
    path = Path(to).expanduser().absolute()
    if not path.parent.is_dir():
        raise problem("BAK10", path=str(path), why="is in a folder that does not exist")
    manifest = backups.manifest_of(path)
    archives = (backups.archive_of(path, suffix) for suffix in files.SUFFIXES.values())
    for taken in (path, manifest, *archives):
        if taken.exists() and not (taken == manifest != path and backups.read(path)):
            raise problem("BAK10", path=str(taken), why="already exists")
    return path
