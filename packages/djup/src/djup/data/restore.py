"""A restore: into a new database beside the current one, which then takes its place by rename."""

import shutil
from pathlib import Path

from djup.data import acts, aside, backups, databases, dump_file, files, load
from djup.data import backup as making
from djup.data.backups import Backup
from djup.data.databases import Beside
from djup.host.checkout_lock import one_at_a_time
from djup.postgres import file_swap
from djup.postgres.client import Client
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack.stack import Stack
from djup.terminal import consent, console
from djup.terminal.console import few
from djup.terminal.task import this_task

# How much larger a database is than its dump; of our own the manifest knows.
GROWTH = {"archive": 3, "plain": 1}


def run(stack: Stack, which: str, with_files: bool = True) -> None:
    """Restore a backup, a snapshot or a dump; the database as it was is kept for undo."""
    with one_at_a_time("db.restore"), stack.client() as client:
        if this_task.dry:
            console.say(f"would restore {which} next to {client.database}, and swap the two")
            return
        _confirm_elsewhere(stack.settings)
        if _restore(client, which, with_files):
            console.say("the previous database is kept; inv undo restores it")
        served = stack.web_log() is not None
    if served:  # it reconnects by itself; the migrations that it needs may be missing
        stack.up()


def _restore(client: Client, which: str, with_files: bool) -> bool:
    """Whether there was a database with anything in it, which is kept."""
    known = {backup.name: backup for backup in backups.all_of()}
    name = which.removesuffix(".dump")
    if name in known:
        return _from_dump(client, known[name].dump, with_files)
    snapshots = {snapshot.name: snapshot for snapshot in databases.beside(client)}
    if which in snapshots:
        return _from_snapshot(client, snapshots[which], with_files)
    path = Path(which).expanduser().absolute()
    if not which or not path.exists():
        raise problem("BAK01", which=repr(which), known=few([*known, *snapshots]))
    return _from_dump(client, path, with_files)


def _from_snapshot(client: Client, source: Beside, with_files: bool) -> bool:
    _refuse_without_room(client, source.bytes)
    folder = files.linked(client, source) if with_files else ""
    note = aside.kept_note("restore", with_files=bool(folder))
    kept = databases.named(client, note.name)
    acts.remember(client.project, "restore", database=kept)
    with file_swap.along(client, folder, note.files):
        databases.swap_copy(client, source.database, note)
    console.say(f"restored the snapshot {source.name}")
    return aside.keeps(client, kept)


def _from_dump(client: Client, path: Path, with_files: bool) -> bool:
    dump = dump_file.recognise(path)
    backup = backups.read(path)
    if backup:
        backups.refuse_damaged(backup, with_files=with_files and client.uploads is not None)
    growth = GROWTH["archive" if dump.archive else "plain"]
    _refuse_without_room(client, backup.contents.bytes if backup else _size(path) * growth)
    with databases.new_part(client) as part:
        load.into(client, dump, part, backup.contents.bytes if backup else 0)
        with files.unpacked(client, backup, with_files) as folder:
            kept = aside.put_in_place(client, part, "restore", folder)
    held = f": {making.words(backup.contents)}" if backup else ""
    console.say(f"restored {path.name}{held}")
    if client.uploads:
        console.say(_of_files(backup, folder))
    return kept


def _of_files(backup: Backup | None, folder: str) -> str:
    if folder and backup and backup.files:
        return f"  and {backups.words_of(backup.files)}"
    return "the uploads stay as they are" + ("" if backup and backup.files else ": it has none")


def _refuse_without_room(client: Client, needed: int) -> None:
    """Raise if the server's disk has no room for a second database of so many bytes."""
    free = free_bytes(client)
    if free is not None and free < needed:
        raise problem("BAK09", needed=console.size(needed), free=console.size(free))


def free_bytes(client: Client) -> int | None:
    """What is free where the server has its data; None where that cannot be seen."""
    if not client.data:
        return None
    if not client.container:
        return shutil.disk_usage(client.data).free
    told = client.run("df", "-Pk", client.data).out.splitlines()
    return int(told[-1].split()[3]) * 1024 if told else None


def _confirm_elsewhere(settings: Settings) -> None:
    """A database that is not the stack's own is named by its host before it is replaced."""
    if settings.has_own_database:
        return
    host = settings.values["SQL_HOST"]
    question = f"This replaces the database on {host}. To continue, type the name of the host"
    answer = consent.by_name(question, host)
    if not answer.asked:
        raise problem("BAK14", host=host)
    if not answer.given:
        raise problem("BAK15", typed=repr(answer.typed))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
