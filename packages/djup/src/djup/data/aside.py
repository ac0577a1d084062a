"""A database in the place of the project's own, which is kept beside it, for an undo."""

import secrets
from datetime import UTC, datetime

from djup.data import acts, databases, files
from djup.data.databases import Beside, Note
from djup.postgres import contents, file_swap
from djup.postgres.client import Client


def put_in_place(client: Client, part: str, task: str, folder: str = "") -> bool:
    """Have `part` be the project's database, and this `folder` its uploads, if one is given;
    whether the database that was is kept for an undo."""
    note = kept_note(task, with_files=bool(folder))
    kept = databases.named(client, note.name)
    acts.remember(client.project, task, database=kept)
    with file_swap.along(client, folder, note.files):
        databases.swap(client, part, note)
    return keeps(client, kept)


def keeps(client: Client, aside: str) -> bool:
    """Whether there is anything to go back to in the database that was put aside last; one that
    nothing was ever made in, as in a new volume, goes, and so does the note of the act."""
    found = {other.database: other for other in databases.beside(client)}.get(aside)
    if found and (not contents.is_untouched(client, aside) or _has_files(client, found)):
        return True
    acts.forget(acts.noted(client.project)[-1])
    if found:
        databases.drop(client, aside)
        files.drop(client, found.note.files)
    return False


def _has_files(client: Client, other: Beside) -> bool:
    folder = files.folder_of(client, other)
    return bool(client.uploads and folder and client.uploads.ask("count", folder)["count"])


def kept_note(task: str, *, with_files: bool = False) -> Note:
    """The note of a database that `task` is about to put aside, and of its uploads if they are."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    token = files.token() if with_files else ""
    name = f"before-{task}-{moment}-{secrets.token_hex(2)}"
    return databases.note_of(name, f"before {task}", token)
