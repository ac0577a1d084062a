"""Folders of uploads change places as databases do: what is on the way is noted until both have.

The databases' transaction decides. A task that was killed after it leaves a note, by which the next
one renames the folders; before it, the next one removes what was prepared.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from djup import STATE
from djup.host.uploads import PART, Uploads, beside
from djup.postgres.client import Client
from djup.terminal.task import this_task

NOTE = STATE / "files.json"
# The comment on the database that was put aside has the token: then the databases are swapped.
SWAPPED = r"""
\getenv token TOKEN
SELECT count(*) FROM pg_database
WHERE strpos(shobj_description(oid, 'pg_database'), :'token') > 0;
"""


@dataclass(frozen=True)
class Swap:
    """Folders of a project that change places: `source` becomes the uploads, and those that were
    are kept under `token`."""

    project: str
    source: str
    token: str


@contextmanager
def along(client: Client, source: str, token: str) -> Iterator[None]:
    """While the block swaps the databases, be ready to swap `source` and the uploads; after it, do
    so. Nothing is done where there is no source."""
    if not (source and client.uploads):
        yield
        return
    _note(Swap(client.project, source, token))
    yield
    settle(client)


def is_pending() -> bool:
    """Whether a swap is not finished."""
    return NOTE.exists()


def settle(client: Client) -> None:
    """Finish a swap whose databases have changed places, or drop what was prepared for it."""
    swap = _noted()
    if not (swap and client.uploads and this_task.held) or swap.project != client.project:
        return
    if client.ask(SWAPPED, TOKEN=swap.token) != "0":
        _exchange(client.uploads, swap)
    elif swap.source == PART:
        client.uploads.ask("drop", PART)
    NOTE.unlink(missing_ok=True)


def _exchange(uploads: Uploads, swap: Swap) -> None:
    uploads.ask("swap", swap.source, beside(swap.token))


def _noted() -> Swap | None:
    try:
        return Swap(**json.loads(NOTE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _note(swap: Swap) -> None:
    part = NOTE.with_name(f"{NOTE.name}.part")
    part.write_text(json.dumps(asdict(swap)), encoding="utf-8")
    part.replace(NOTE)
