"""Snapshots: copies of the database within the server, made and restored in a moment."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from djup.data import databases
from djup.data.databases import Beside
from djup.host import git, process
from djup.host.checkout_lock import one_at_a_time
from djup.host.volumes import age
from djup.postgres.client import Client
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack import runtimes
from djup.stack.stack import Stack
from djup.stack.status import Status
from djup.terminal import console
from djup.terminal.console import few

LONGEST = 40  # characters of a name


def make(settings: Settings, name: str) -> None:
    """Copy the database under this name, or that of the git branch."""
    name = name or branch()
    if not name.isprintable() or len(name) > LONGEST or name.startswith("part-"):
        raise problem("BAK11", name=repr(name), longest=LONGEST)
    databases.refuse_without_data(settings)
    with one_at_a_time("db.snapshot"), runtimes.of(settings).client() as client:
        if process.mode.dry:
            console.say(f"would copy {client.database} to {databases.named(client, name)}")
            return
        databases.snapshot(settings, client, databases.note_of(name, "snapshot"))
    console.say(f"snapshot {name}; this brings it back: inv db.restore {shlex.quote(name)}")


def run(settings: Settings, gone: str, as_json: bool) -> None:
    """List them, one of them dropped first."""
    found = _listed(settings, gone) if databases.has_data(settings) else []
    console.answer(console.as_json(found) if as_json else as_text(found))


def _listed(settings: Settings, gone: str) -> list[Beside]:
    with one_at_a_time("db.snapshots"), runtimes.of(settings).client() as client:
        if gone and not process.mode.dry:
            databases.drop(client, find(client, gone).database)
            console.say(f"{gone} is gone")
        return databases.beside(client)


def branch() -> str:
    """The git branch that is checked out; `snapshot` where there is none."""
    found = git.ask("symbolic-ref", "--quiet", "--short", "HEAD")
    if cause := git.refusal(found):
        console.say(f"the snapshot does not get the branch's name: {cause.what}")
        console.say(f"fix: {cause.fix}; or give the snapshot a --name")
    return found.out.strip()[:LONGEST] or "snapshot"


def find(client: Client, name: str) -> Beside:
    """The one of this name, or a problem."""
    there = {one.name: one for one in databases.beside(client)}
    if name not in there:
        raise problem("BAK17", name=repr(name), known=few(list(there)))
    return there[name]


def with_fitting(stack: Stack, status: Status) -> Status:
    """The status, with the newest snapshot that has none of the migrations that the code lacks."""
    if not status.unknown:
        return status
    with stack.client() as client:
        there = databases.beside(client)
    held = ((one.name, set(one.note.migrations)) for one in there)
    names = (name for name, has in held if has and has.isdisjoint(status.unknown))
    return replace(status, fitting=next(names, ""))


def as_text(snapshots: Sequence[Beside]) -> str:
    """For the person at the terminal."""
    if not snapshots:
        return "no snapshots; inv db.snapshot makes one"
    rows = [
        (one.name, age(one.note.at), console.size(one.bytes), one.note.why) for one in snapshots
    ]
    return console.table(("SNAPSHOT", "AGE", "SIZE", "WHY"), rows)
