"""Hosts that a stack must reach, and a network of its own that hides them."""

import json

from djup.deploy.production import Production
from djup.deploy.swarm import ranges
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm_stack import label_filter
from djup.problems import documents, problem
from djup.terminal import console

RANGES = documents.located("docs/how-to/cluster.md#ranges-of-addresses")


def hosts(wanted: Production) -> list[str]:
    """The hosts that are named for the database, if it is elsewhere, and for the registry."""
    database = [] if wanted.has_own_database else [wanted.values["DATABASE_HOST"]]
    registry = wanted.registry.partition("/")[0].partition(":")[0]
    return [*database, *([registry] if registry else [])]


def refuse_hidden(wanted: Production) -> None:
    """Raise if the database lies within a network of the stack; say so of keys that the user has
    added. The registry is asked by the engine itself, which no overlay keeps from it."""
    known = ranges.networks(*label_filter(wanted.stack))
    if not wanted.has_own_database:
        _refuse(ranges.addresses([wanted.values["DATABASE_HOST"]]), known)
    for key, value in json.loads(wanted.secrets["settings"]).items():
        _, name, range = ranges.hidden(ranges.written_in(value), known)
        if name:
            console.say(
                f"warning: {key} in .env has an address within {range}, the network {name} of the "
                f"containers, which cannot reach it ({RANGES})"
            )


def refuse_hidden_by(release: Release, error: str) -> None:
    """Raise if the address in libpq's words on a failed connection lies within a network of the
    stack: some names are known in the containers alone."""
    if not release.has_own_database:
        _refuse(set(ranges.written_in(error)), ranges.networks(*label_filter(release.stack)))


def _refuse(addresses: set[str], known: ranges.Known) -> None:
    address, name, range = ranges.hidden(addresses, known)
    if name:
        raise problem("DEP44", key="PROD_SQL_HOST", address=address, network=name, within=range)
