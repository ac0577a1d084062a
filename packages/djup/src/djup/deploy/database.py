"""The database of a stack: dumped to this machine, filled, restored, given another password."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from djup.data import aside, backup, backups, databases, dump_file, files, load
from djup.data.backups import Backup
from djup.data.databases import Note
from djup.deploy import database_client, media_client
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.postgres import contents, file_swap
from djup.postgres.client import Client
from djup.problems import problem
from djup.stack import file_work
from djup.terminal import console
from djup.terminal.console import few

SET_PASSWORD = "\\getenv password NEW_PASSWORD\nALTER ROLE CURRENT_USER PASSWORD :'password';"
SECRET = "SQL_PASSWORD_SECRET"


def save(release: Release, swarm: Swarm, reason: str) -> Backup:
    """Dump the stack's database into backups/ of this checkout; the caller holds the lock."""
    with database_client.client(release, swarm) as client:
        return backup.make(client, reason)


def save_all(release: Release, swarm: Swarm, reason: str) -> Backup:
    """The same, with the uploads beside the database."""
    with with_files(release, swarm) as client:
        return backup.make(client, reason)


@contextmanager
def with_files(release: Release, swarm: Swarm) -> Iterator[Client]:
    """PostgreSQL's programs for the stack's database, and its uploads."""
    with media_client.uploads(release, swarm) as found:
        programs = database_client.client(release, swarm)
        with file_work.with_uploads(programs, found) as client:
            yield client


def save_used(release: Release, swarm: Swarm, reason: str) -> Backup | None:
    """Dump the stack's database if it was used before; None for a new one."""
    return None if is_empty(release, swarm) else save(release, swarm, reason)


def is_empty(release: Release, swarm: Swarm) -> bool:
    """Whether the database of a release has no table yet."""
    with database_client.client(release, swarm) as client:
        return contents.is_empty(client)


def note_of_aside() -> Note:
    """The note of a database that is about to be put aside for another."""
    return aside.kept_note("deploy")


def fill(release: Release, swarm: Swarm, saved: Backup, empty: Note) -> None:
    """Put a backup in the place of a database that has no table, which is kept as `empty` says."""
    with database_client.client(release, swarm) as client:
        _from_dump(client, saved.dump, empty)
    console.say(f"the new database was empty; it now has the rows of {saved.name}")


def empty_again(release: Release, swarm: Swarm, empty: Note) -> str:
    """Put the empty database in its place again; gives the name that the filled one is kept under,
    '' if it was never filled."""
    note = note_of_aside()
    with database_client.client(release, swarm) as client:
        if empty.name not in {kept.name for kept in databases.beside(client)}:
            return ""
        databases.swap(client, databases.named(client, empty.name), note)
    return note.name


def restore(release: Release, swarm: Swarm, which: str) -> None:
    """Put a backup, a dump, or a database that was put aside there in the place of the stack's,
    with the uploads that it has; what was stays beside it, under a name that is said. The caller
    holds the lock."""
    with with_files(release, swarm) as client:
        beside = {kept.name: kept for kept in databases.beside(client)}
        if which in beside:
            folder = files.linked(client, beside[which])
            note = aside.kept_note("restore", with_files=bool(folder))
            with file_swap.along(client, folder, note.files):
                databases.swap_copy(client, beside[which].database, note)
        else:
            note = _with_its_files(client, _dump(which, [*beside]))
    console.say(f"restored {which}; the previous database is kept: inv deploy.restore {note.name}")


def _with_its_files(client: Client, path: Path) -> Note:
    """Put a dump in place, and the uploads of its backup; the note of what is kept."""
    saved = _undamaged(path, with_files=client.uploads is not None)
    with databases.new_part(client) as part:
        load.into(client, dump_file.recognise(path), part, saved.contents.bytes if saved else 0)
        with files.unpacked(client, saved) as folder:
            note = aside.kept_note("restore", with_files=bool(folder))
            with file_swap.along(client, folder, note.files):
                databases.swap(client, part, note)
    return note


def find(release: Release, swarm: Swarm, which: str) -> None:
    """Raise unless `which` names what can be restored into the stack's database."""
    with database_client.client(release, swarm) as client:
        beside = [kept.name for kept in databases.beside(client)]
    if which not in beside:
        _dump(which, beside)


def knows(release: Release, swarm: Swarm, which: str) -> bool:
    """Whether `which` names something that is here, or beside the database."""
    name = which.removesuffix(".dump")
    if name in {saved.name for saved in backups.all_of()} or Path(which).expanduser().exists():
        return True
    with database_client.client(release, swarm) as client:
        return which in {kept.name for kept in databases.beside(client)}


def _dump(which: str, beside: list[str]) -> Path:
    """The file of a backup, by its name, or a dump made elsewhere, by its path."""
    known = {saved.name: saved.dump for saved in backups.all_of()}
    path = known.get(which.removesuffix(".dump"), Path(which).expanduser().absolute())
    if not which or not path.exists():
        raise problem("BAK01", which=repr(which), known=few([*known, *beside]))
    return path


def _undamaged(path: Path, *, with_files: bool) -> Backup | None:
    """The backup that a dump is of, if it is of one; a problem where it has changed."""
    if saved := backups.read(path):
        backups.refuse_damaged(saved, with_files=with_files)
        if saved.files and not with_files:
            console.say("the files of this backup are not restored: they stay in its archive")
    return saved


def _from_dump(client: Client, path: Path, note: Note) -> None:
    saved = _undamaged(path, with_files=False)
    with databases.new_part(client) as part:
        load.into(client, dump_file.recognise(path), part, saved.contents.bytes if saved else 0)
        databases.swap(client, part, note)


def hand_password_over(old: Release, new: Release, swarm: Swarm) -> None:
    """Give the stack's own database the password of another release, where that has another."""
    if not _differ(old, new):
        return
    with database_client.client(new, swarm) as theirs:
        if not _lets_in(theirs):
            with database_client.client(old, swarm) as ours:
                ours.ask(SET_PASSWORD, NEW_PASSWORD=theirs.variables["PGPASSWORD"])
            console.say("the database now has the password of this release")


def with_its_password(release: Release, other: Release, swarm: Swarm) -> Release:
    """The release with the password that the stack's own database has: its own or that of the
    other. A deploy that was killed may have handed over the new one."""
    if not _differ(release, other):
        return release
    with database_client.client(release, swarm) as client:
        if _lets_in(client):
            return release
    return release.with_values(**{SECRET: other.values[SECRET]})


def _differ(release: Release, other: Release) -> bool:
    both_own = release.has_own_database and other.has_own_database
    return both_own and release.values[SECRET] != other.values[SECRET]


def _lets_in(client: Client) -> bool:
    return not client.script("select 1", client.database).code
