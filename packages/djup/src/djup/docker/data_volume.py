"""The volume postgres_data: its name, whose it is, and that the data go into it."""

from pathlib import Path
from typing import Any

from djup import ROOT
from djup.docker import containers, resources
from djup.docker.containers import Container
from djup.host import process
from djup.problems import problem
from djup.settings.settings import Settings

DATA = "/var/lib/postgresql"  # where compose/db.yaml mounts it


def name_of(settings: Settings) -> str:
    """The volume's name, as Compose forms it."""
    return f"{settings.project}_postgres_data"


def claim(
    settings: Settings, inspected: dict[str, Any] | None, kind: str = "postgres_data"
) -> None:
    """Make the volume, with a label that says whose it is; one of somebody else is a problem."""
    name = f"{settings.project}_{kind}"
    if inspected is None:
        labels = {
            resources.PROJECT_LABEL: settings.project,
            resources.VOLUME: kind,
            resources.CHECKOUT: str(ROOT),
        }
        flags = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
        process.attach_or_fail(["docker", "volume", "create", *flags, name], progress=True)
        return
    refuse_of_another(settings, {name: inspected})


def refuse_of_another(settings: Settings, volumes: dict[str, dict[str, Any]]) -> None:
    """Raise if one of these inspected volumes belongs to somebody else."""
    for name, inspected in volumes.items():
        if owner := owner_of(settings, inspected):
            raise problem("DB08", volume=name, owner=owner)


def owner_of(settings: Settings, inspected: dict[str, Any]) -> str:
    """Whose an inspected volume is, in words; '' if it is ours, or nobody's."""
    project = resources.label(inspected, resources.PROJECT_LABEL)
    if project not in ("", settings.project):
        return f"the Compose project {project}"
    folder = resources.label(inspected, resources.CHECKOUT)
    if folder and containers.is_other_checkout(Path(folder)):
        return f"the checkout at {folder}"
    return ""


def refuse_anonymous_data(db: Container | None) -> None:
    """Raise if a database that is starting would write where nobody finds it again."""
    if db and any(resources.is_anonymous(volume) for volume in db.mounts.split(",")):
        volume = containers.mounted_at(db, DATA)
        if resources.is_anonymous(volume):
            raise problem("DB07", where=f"the anonymous volume {volume[:12]}")
