"""Snapshots: copies of the database within the server, made and restored in a moment."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from djup.data import databases
from djup.data.databases import Beside
from djup.host import git
from djup.host.checkout_lock import one_at_a_time
from djup.postgres.client import Client
from djup.problems import problem
from djup.stack.stack import Stack
from djup.stack.status import Status
from djup.terminal import console
from djup.terminal.console import age, few
from djup.terminal.task import this_task

LONGEST = 40  # characters of a name


def make(stack: Stack, name: str) -> None:
    """Copy the database under this name, or that of the git branch."""
    name = name or branch()
    if not name.isprintable() or len(name) > LONGEST or name.startswith("part-"):
        raise problem("BAK11", name=repr(name), longest=LONGEST)
    databases.refuse_without_data(stack)
    with one_at_a_time("db.snapshot"), stack.client() as client:
        if this_task.dry:
            console.say(f"would copy {client.database} to {databases.named(client, name)}")
            return
        databases.snapshot(client, databases.note_of(name, "snapshot"))
    console.say(f"snapshot {name}; to restore it: inv db.restore {shlex.quote(name)}")


def run(stack: Stack, gone: str, as_json: bool) -> None:
    """List them, one of them dropped first."""
    found = _listed(stack, gone) if databases.has_data(stack) else []
    console.answer(console.as_json(found) if as_json else as_text(found))


def _listed(stack: Stack, gone: str) -> list[Beside]:
    with one_at_a_time("db.snapshots"), stack.client() as client:
        if gone and not this_task.dry:
            databases.drop(client, find(client, gone).database)
            console.say(f"removed {gone}")
        return databases.beside(client)


def branch() -> str:
    """The git branch that is checked out; `snapshot` where there is none."""
    found = git.ask("symbolic-ref", "--quiet", "--short", "HEAD")
    if cause := git.refusal(found):
        console.say(f"the snapshot is not named after the branch: {cause.what}")
        console.say(f"fix: {cause.fix}; or give the snapshot a --name")
    return found.out.strip()[:LONGEST] or "snapshot"


def find(client: Client, name: str) -> Beside:
    """Give the snapshot of this name, or raise with the names that exist."""
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
        return "no snapshots; inv db.snapshot creates one"
    rows = [
        (one.name, age(one.note.at), console.size(one.bytes), one.note.why) for one in snapshots
    ]
    return console.table(("SNAPSHOT", "AGE", "SIZE", "WHY"), rows)
