"""The entries that each schedule has: what Django and djup leave to be tidied."""

from collections.abc import Iterator
from functools import partial

from django.apps import apps
from django.core.management import call_command, get_commands

from .entries import Entry
from .times import period

DAILY = ("clearsessions", "prune_jobs")


def entries() -> Iterator[Entry]:
    """An entry for each of the commands that this project has.

    A project's own entry of such a name takes its place."""
    commands = get_commands()
    for name in DAILY:
        if name in commands and (name != DAILY[0] or apps.is_installed("django.contrib.sessions")):
            yield Entry(name, period("1d"), partial(call_command, name))
