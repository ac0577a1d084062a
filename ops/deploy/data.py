"""The data of a stack: backups to this machine, and the password of the database."""

from contextlib import suppress
from pathlib import Path

from ops import console, problems
from ops.client import Client
from ops.data import backup, backups, contents, databases, dumps, load, undo
from ops.data.backups import Backup
from ops.data.databases import Note
from ops.deploy import toolbox
from ops.deploy.releases import Release
from ops.deploy.swarm import Swarm
from ops.env import Settings
from ops.problems import Problem

SET_PASSWORD = "\\getenv password NEW_PASSWORD\nALTER ROLE CURRENT_USER PASSWORD :'password';"
SECRET = "SQL_PASSWORD_SECRET"


def save(settings: Settings, release: Release, nodes: Swarm, reason: str) -> Backup:
    """Dump the stack's database into backups/ of this checkout; the caller holds the lock."""
    named = settings.lending({"COMPOSE_PROJECT_NAME": release.stack})
    with toolbox.client(release, nodes) as client:
        return backup.make(named, client, reason)


def save_used(settings: Settings, release: Release, nodes: Swarm, reason: str) -> Backup | None:
    """The same of a database that was used before; None of a new one."""
    with toolbox.client(release, nodes) as client:
        new = contents.is_empty(client)
    return None if new else save(settings, release, nodes, reason)


def fill(settings: Settings, release: Release, nodes: Swarm, saved: Backup) -> bool:
    """Bring rows along into another database, if that has no table yet; whether it had none."""
    named = settings.lending({"COMPOSE_PROJECT_NAME": release.stack})
    note = undo.kept_note("deploy")
    with toolbox.client(release, nodes) as client:
        if not contents.is_empty(client):
            console.say(
                "the other database has tables, and is left as it is; the rows of before: "
                f"inv deploy.restore {saved.name}"
            )
            return False
        _from_dump(named, client, saved.dump, note)
        with suppress(Problem):  # what was there, and is empty
            databases.drop(client, databases.named(client, note.name))
    console.say(f"the other database was empty: it has the rows of {saved.name} now")
    return True


def put_aside(settings: Settings, release: Release, nodes: Swarm) -> str:
    """Have an empty database in the place of one that was filled; under which name that is kept."""
    named = settings.lending({"COMPOSE_PROJECT_NAME": release.stack})
    note = undo.kept_note("going-back")
    with toolbox.client(release, nodes) as client, databases.new_part(named, client) as part:
        databases.swap(client, part, note)
    return note.name


def restore(settings: Settings, release: Release, nodes: Swarm, which: str) -> None:
    """Put a backup, a dump, or a database that was put aside there in the place of the stack's; the
    one that was stays beside it, under a name that is said. The caller holds the lock."""
    named = settings.lending({"COMPOSE_PROJECT_NAME": release.stack})
    note = undo.kept_note("restore")
    with toolbox.client(release, nodes) as client:
        aside = {one.name: one.database for one in databases.beside(client)}
        if which in aside:
            databases.swap_copy(named, client, aside[which], note)
        else:
            _from_dump(named, client, _dump(which, [*aside]), note)
    console.say(
        f"restored {which}; as it was, the database is kept: inv deploy.restore {note.name}"
    )


def _dump(which: str, aside: list[str]) -> Path:
    """The file of a backup, by its name, or a dump made elsewhere, by its path."""
    known = {one.name: one.dump for one in backups.all_of()}
    path = known.get(which.removesuffix(".dump"), Path(which).expanduser().absolute())
    if not which or not path.exists():
        raise problems.no_such_backup(which, [*known, *aside])
    return path


def _from_dump(settings: Settings, client: Client, path: Path, note: Note) -> None:
    if found := backups.read(path):
        backups.refuse_damaged(found)
    with databases.new_part(settings, client) as part:
        load.into(client, dumps.recognise(path), part, found.contents.bytes if found else 0)
        databases.swap(client, part, note)


def hand_password_over(old: Release, new: Release, nodes: Swarm) -> None:
    """Give the stack's own database the password of another release, where that has another."""
    if not _differ(old, new):
        return
    with toolbox.client(new, nodes) as theirs:
        if not _lets_in(theirs):
            with toolbox.client(old, nodes) as ours:
                ours.ask(SET_PASSWORD, NEW_PASSWORD=theirs.variables["PGPASSWORD"])
            console.say("the database has the other password now")


def with_its_password(release: Release, other: Release, nodes: Swarm) -> Release:
    """The release with the password that the stack's own database has: its own or that of the
    other. A deploy that was killed may have handed over the new one."""
    if not _differ(release, other):
        return release
    with toolbox.client(release, nodes) as client:
        if _lets_in(client):
            return release
    return release.with_values(**{SECRET: other.values[SECRET]})


def _differ(one: Release, other: Release) -> bool:
    both_own = one.has_own_database and other.has_own_database
    return both_own and one.values[SECRET] != other.values[SECRET]


def _lets_in(client: Client) -> bool:
    return not client.script("select 1", client.database).code
