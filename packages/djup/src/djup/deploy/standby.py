"""The standby of production (STANDBY): a copy of its own database on another node, that follows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from djup import own_or_ours
from djup.deploy import programs
from djup.deploy.swarm import swarm
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Node, Swarm
from djup.docker import engine
from djup.problems import problem
from djup.settings.settings import BOOLEANS, TRUE

FILE = "prod/standby.yaml"
SERVICE = "standby"
# For libpq: the standby if it answers and is one, else the database (prefer-standby).
READS_FROM = f"{SERVICE},db"


def is_on(chosen: Mapping[str, str]) -> bool:
    """Whether production has a standby."""
    return chosen["STANDBY"].strip().lower() in TRUE


def files(chosen: Mapping[str, str]) -> Iterator[str]:
    """The compose files that it takes."""
    if is_on(chosen):
        yield FILE


def check(chosen: Mapping[str, str], prefix: str) -> None:
    """Raise at a value that no standby could be made with."""
    if chosen["STANDBY"].strip().lower() not in ("", *BOOLEANS):
        raise problem("ENV06", key=f"{prefix}STANDBY", allowed=f"one of {', '.join(BOOLEANS)}")
    if is_on(chosen) and chosen["SQL_HOST"]:
        allowed = "empty with a managed database: its host has standbys of its own"
        raise problem("ENV06", key=f"{prefix}STANDBY", allowed=allowed)


def values(chosen: Mapping[str, str]) -> dict[str, str]:
    """What the compose files are filled in with; none of it secret."""
    return {**of_service(), "SQL_REPLICA_HOST": READS_FROM} if is_on(chosen) else {}


def of_service() -> dict[str, str]:
    """The part of it that the service itself takes."""
    return {**programs.KEPT, "STANDBY_REPLICAS": "1"}


def configs(chosen: Mapping[str, str]) -> dict[str, str]:
    """The programs that it takes."""
    return program() if is_on(chosen) else {}


def program() -> dict[str, str]:
    """What the service runs, by the names of its configs."""
    return programs.contents({"standby_program": "standby.sh"})


def alone(release: Release) -> Release:
    """The release with nothing but this service, for one that may have none."""
    text = own_or_ours(f"compose/{FILE}").read_text()
    return replace(release, files={FILE: text}).with_values(**of_service())


def has_one(release: Release) -> bool:
    """Whether a release has a standby."""
    return FILE in release.files


def label(stack: str) -> str:
    """The label of the node that has the copy."""
    return f"standby.{stack}"


def refuse_impossible(stack: str, reached: Swarm) -> None:
    """Raise where no node can have it, or the one that is to have it has the database."""
    databases = {node.id for node in reached.labelled(swarm.db_label(stack))}
    if both := [node for node in reached.labelled(label(stack)) if node.id in databases]:
        command = engine.as_typed(f"node update --label-rm {label(stack)} {both[0].name}")
        raise problem("DEP65.same", node=both[0].name, command=command)
    if not reached.labelled(label(stack)):
        place(stack, reached, set())


def place(stack: str, reached: Swarm, archives: set[str]) -> Node:
    """The node that is to have it: another one than that of the database, which is here if it is
    nowhere yet, and if it can be had, than that of the archive (`archives`, by id)."""
    taken = {node.id for node in reached.labelled(swarm.db_label(stack))} or {reached.here}
    others = [node for node in reached.nodes if node.ready and node.id not in taken]
    if not others:
        raise problem("DEP65.alone")
    return next((node for node in others if node.id not in archives), others[0])
