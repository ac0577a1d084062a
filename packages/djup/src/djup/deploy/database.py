"""The database of a stack: dumped to this machine, filled, restored, given another password."""

from pathlib import Path

from djup.data import aside, backup, backups, databases, dump_file, load
from djup.data.backups import Backup
from djup.data.databases import Note
from djup.deploy import database_client
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.postgres import contents
from djup.postgres.client import Client
from djup.problems import problem
from djup.terminal import console
from djup.terminal.console import few

SET_PASSWORD = "\\getenv password NEW_PASSWORD\nALTER ROLE CURRENT_USER PASSWORD :'password';"
SECRET = "SQL_PASSWORD_SECRET"


def save(release: Release, swarm: Swarm, reason: str) -> Backup:
    """Dump the stack's database into backups/ of this checkout; the caller holds the lock."""
    with database_client.client(release, swarm) as client:
        return backup.make(client, reason)


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
    """Put a backup, a dump, or a database that was put aside there in the place of the stack's; the
    one that was stays beside it, under a name that is said. The caller holds the lock."""
    note = aside.kept_note("restore")
    with database_client.client(release, swarm) as client:
        beside = {kept.name: kept.database for kept in databases.beside(client)}
        if which in beside:
            databases.swap_copy(client, beside[which], note)
        else:
            _from_dump(client, _dump(which, [*beside]), note)
    console.say(f"restored {which}; the previous database is kept: inv deploy.restore {note.name}")


def find(release: Release, swarm: Swarm, which: str) -> None:
    """Raise unless `which` names what can be restored into the stack's database."""
    with database_client.client(release, swarm) as client:
        beside = [kept.name for kept in databases.beside(client)]
    if which not in beside:
        _dump(which, beside)


def _dump(which: str, beside: list[str]) -> Path:
    """The file of a backup, by its name, or a dump made elsewhere, by its path."""
    known = {saved.name: saved.dump for saved in backups.all_of()}
    path = known.get(which.removesuffix(".dump"), Path(which).expanduser().absolute())
    if not which or not path.exists():
        raise problem("BAK01", which=repr(which), known=few([*known, *beside]))
    return path


def _from_dump(client: Client, path: Path, note: Note) -> None:
    if saved := backups.read(path):
        backups.refuse_damaged(saved)
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
