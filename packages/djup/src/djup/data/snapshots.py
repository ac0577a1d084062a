"""Snapshots: copies of the database within the server, made and restored in a moment."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from djup.data import databases, files
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
        with files.linked_aside(client) as token:
            databases.snapshot(client, databases.note_of(name, "snapshot", token))
    console.say(f"snapshot {name}; to restore it: inv db.restore {shlex.quote(name)}")


def run(stack: Stack, gone: str, as_json: bool) -> None:
    """List them, one of them dropped first."""
    listed = _listed(stack, gone) if databases.has_data(stack) else []
    console.answer(console.as_json(listed) if as_json else as_text(listed))


def _listed(stack: Stack, gone: str) -> list[Beside]:
    with one_at_a_time("db.snapshots"), stack.client() as client:
        if gone and not this_task.dry:
            found = find(client, gone)
            databases.drop(client, found.database)
            files.drop(client, found.note.files)
            console.say(f"removed {gone}")
        return databases.beside(client)


def branch() -> str:
    """The git branch that is checked out; `snapshot` where there is none."""
    head = git.ask("symbolic-ref", "--quiet", "--short", "HEAD")
    if cause := git.refusal(head):
        console.say(f"the snapshot is not named after the branch: {cause.what}")
        console.say(f"fix: {cause.fix}; or give the snapshot a --name")
    return head.out.strip()[:LONGEST] or "snapshot"


def find(client: Client, name: str) -> Beside:
    """Give the snapshot of this name, or raise with the names that exist."""
    known = {snapshot.name: snapshot for snapshot in databases.beside(client)}
    if name not in known:
        raise problem("BAK17", name=repr(name), known=few(list(known)))
    return known[name]


def with_fitting(stack: Stack, status: Status) -> Status:
    """The status, with the newest snapshot that has none of the migrations that the code lacks."""
    if not status.unknown:
        return status
    with stack.client() as client:
        snapshots = databases.beside(client)
    held = ((snapshot.name, set(snapshot.note.migrations)) for snapshot in snapshots)
    names = (name for name, has in held if has and has.isdisjoint(status.unknown))
    return replace(status, fitting=next(names, ""))


def as_text(snapshots: Sequence[Beside]) -> str:
    """For the person at the terminal."""
    if not snapshots:
        return "no snapshots; inv db.snapshot creates one"
    heads = ("SNAPSHOT", "AGE", "SIZE", "WHY")
    return console.table(heads, [_row(snapshot) for snapshot in snapshots])


def _row(snapshot: Beside) -> tuple[str, ...]:
    note = snapshot.note
    return (note.name, age(note.at), console.size(snapshot.bytes), note.why)
