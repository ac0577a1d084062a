"""The archive of production (ARCHIVE): every change of its own database, on another node."""

import re
from collections.abc import Iterator, Mapping

from djup.deploy import programs
from djup.deploy.swarm import swarm
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.problems import problem

FILE = "prod/archive.yaml"
DAYS = re.compile(r"([1-9]\d{0,3})d")


def is_on(chosen: Mapping[str, str]) -> bool:
    """Whether production has an archive."""
    return bool(chosen["ARCHIVE"])


def files(chosen: Mapping[str, str]) -> Iterator[str]:
    """The compose files that it takes."""
    if is_on(chosen):
        yield FILE


def check(chosen: Mapping[str, str], prefix: str) -> None:
    """Raise at a value that no archive could be made with."""
    if not is_on(chosen):
        return
    if not DAYS.fullmatch(chosen["ARCHIVE"]):
        raise problem("ENV06", key=f"{prefix}ARCHIVE", allowed="empty, or days such as 7d")
    if chosen["SQL_HOST"]:
        allowed = "empty with a managed database: its host keeps the changes"
        raise problem("ENV06", key=f"{prefix}ARCHIVE", allowed=allowed)


def values(chosen: Mapping[str, str]) -> dict[str, str]:
    """What the compose file is filled in with; none of it secret."""
    if not is_on(chosen):
        return {}
    days = chosen["ARCHIVE"].removesuffix("d")
    return {**programs.KEPT, "ARCHIVE_DAYS": days, "ARCHIVE_REPLICAS": "1"}


def configs(chosen: Mapping[str, str]) -> dict[str, str]:
    """The programs of the archive, and of who restores from it."""
    if not is_on(chosen):
        return {}
    return programs.contents({"archive_program": "archive.sh", "archive_recover": "recover.sh"})


def has_one(release: Release) -> bool:
    """Whether a release has an archive."""
    return FILE in release.files


def label(stack: str) -> str:
    """The label of the node that has the volume of the archive."""
    return f"archive.{stack}"


def place(stack: str, reached: Swarm) -> str:
    """The id of the node that is to have it: another one than that of the database, which is here
    if it is nowhere yet."""
    taken = {node.id for node in reached.labelled(swarm.db_label(stack))} or {reached.here}
    others = [node.id for node in reached.nodes if node.ready and node.id not in taken]
    return others[0] if others else reached.here


def warnings(wanted: Mapping[str, str], reached: Swarm, stack: str) -> Iterator[str]:
    """What the plan warns of: an archive that is lost with the database that it is for."""
    if "ARCHIVE_DAYS" not in wanted:
        return
    databases = {node.id for node in reached.labelled(swarm.db_label(stack))} or {reached.here}
    archives = {node.id for node in reached.labelled(label(stack))} or {place(stack, reached)}
    if databases & archives:
        yield (
            "the archive is on the node of the database, and is lost with it: scheduled backups "
            "(BACKUP_TO) are what is left then"
        )
