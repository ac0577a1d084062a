"""PostgreSQL's programs for the database of a stack, in a toolbox on the node that we speak to."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from djup.deploy import reach
from djup.deploy.swarm import toolbox
from djup.deploy.swarm.release import CA, Release
from djup.deploy.swarm.swarm import Swarm
from djup.postgres import libpq
from djup.postgres.client import Client
from djup.settings.settings import SYSTEM
from djup.terminal.task import this_task

NAMES_SECONDS, UNKNOWN_SECONDS = 8, 15
UNKNOWN = "could not translate host name"


@contextmanager
def client(release: Release, swarm: Swarm) -> Iterator[Client]:
    """PostgreSQL's programs, which find the stack's database past any pooler."""
    image = release.values["POSTGRES_IMAGE"]
    # A dump that is put back waits in there, and may be larger than the memory.
    with toolbox.toolbox(release, swarm, image, temporary="volume") as container:
        password = toolbox.read_secret(container, "sql_password")
        variables = way_to_database(release) | libpq.variables(password=password)
        programs = Client(release.stack, container, "", variables, data="", compression="zstd:2")
        reach.refuse_hidden_by(release, _wait_until_let_in(programs))
        yield programs if this_task.dry else programs.of_its_version()


def at(release: Release, host: str) -> Release:
    """The release with another server of the stack's network in the place of its database."""
    there = {"DATABASE_HOST": host, "DATABASE_PORT": "5432", "DATABASE_SSLMODE": ""}
    return release.with_values(**there, DATABASE_SSLROOTCERT="")


def _wait_until_let_in(client: Client) -> str:
    """Why it is not, in the end. A network that a container has just joined may know no names yet,
    and for longer after nodes were lost; who is not let in for another reason is told so by what
    comes next."""
    begun = time.monotonic()
    while not this_task.dry and (done := client.script("select 1", client.database)).code:
        patience = UNKNOWN_SECONDS if UNKNOWN in done.err else NAMES_SECONDS
        if time.monotonic() - begun > patience:
            return done.err
        time.sleep(0.3)
    return ""


def way_to_database(release: Release) -> dict[str, str]:
    """libpq's variables, without the password."""
    values = release.values
    root = values["DATABASE_SSLROOTCERT"]
    return libpq.variables(
        host=values["DATABASE_HOST"],
        port=values["DATABASE_PORT"],
        user=values["SQL_USER"],
        database=values["SQL_DATABASE"],
        program=f"inv {release.stack}",
        connect_timeout="10",
        sslmode=values["DATABASE_SSLMODE"],
        root_certificate=root if root in ("", SYSTEM) else CA,
    )
