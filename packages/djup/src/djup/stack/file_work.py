"""What every runtime does with the uploads beside its database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from djup.host.uploads import Uploads
from djup.postgres import file_swap
from djup.postgres.client import Client
from djup.stack.stack import Stack
from djup.terminal.task import this_task


@contextmanager
def with_uploads(
    programs: AbstractContextManager[Client], uploads: Uploads | None
) -> Iterator[Client]:
    """PostgreSQL's programs and the uploads; a swap that a killed task has not finished is."""
    with programs as client:
        client = replace(client, uploads=uploads)
        if not this_task.dry:
            file_swap.settle(client)
        yield client


def finish_swap(stack: Stack) -> None:
    """Have the uploads be those of the database, where a killed task has swapped that alone."""
    if file_swap.is_pending() and not this_task.dry:
        with stack.client():
            pass  # it is done by whoever asks for a client
