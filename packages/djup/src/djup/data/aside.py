"""A database in the place of the project's own, which is kept beside it, for an undo."""

import secrets
from datetime import UTC, datetime

from djup.data import acts, databases
from djup.data.databases import Note
from djup.postgres import contents
from djup.postgres.client import Client


def put_in_place(client: Client, part: str, task: str) -> bool:
    """Have `part` be the project's database; whether the one that was is kept for an undo."""
    note = kept_note(task)
    kept = databases.named(client, note.name)
    acts.remember(client.project, task, database=kept)
    databases.swap(client, part, note)
    return keeps(client, kept)


def keeps(client: Client, aside: str) -> bool:
    """Whether there is anything to go back to in the database that was put aside last; one that
    nothing was ever made in, as in a new volume, goes, and so does the note of the act."""
    exists = aside in {other.database for other in databases.beside(client)}
    if exists and not contents.is_untouched(client, aside):
        return True
    acts.forget(acts.noted(client.project)[-1])
    if exists:
        databases.drop(client, aside)
    return False


def kept_note(task: str) -> Note:
    """The note of a database that `task` is about to put aside."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return databases.note_of(f"before-{task}-{moment}-{secrets.token_hex(2)}", f"before {task}")
