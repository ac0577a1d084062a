"""Why the database's container ended: by its exit code, and by asking the engine."""

import re

from ops import docker, images, postgres, problems
from ops.docker import Container
from ops.env import Settings
from ops.problems import Problem

# What compose/db.yaml's entrypoint ends with.
OTHER_VERSION, OTHER_SYSTEM, OTHER_PROJECT, NOT_MOUNTED = 71, 72, 73, 74
SHOWN = 6
KILLED = 137


def of(settings: Settings, container: Container) -> Problem:
    """The problem that the database's container ended with."""
    image = settings.values["POSTGRES_IMAGE"]
    lines = docker.last_lines(container).splitlines()
    last = lines[-1] if lines else ""
    code = container.exit_code
    if code == OTHER_VERSION:
        found, ours = re.findall(r"PostgreSQL (\w+)", last)
        back = images.of_major(image, ours, found) or f"postgres:{found}"
        return problems.other_version(found, image, ours, back)
    if code == OTHER_SYSTEM:
        return problems.other_system(last.partition(" written on ")[2].partition(",")[0], image)
    if code == OTHER_PROJECT:
        return problems.other_layout(last.rpartition(" in ")[2].rstrip("."))
    if code == NOT_MOUNTED:
        return problems.data_not_kept("the container itself")
    return _of_failed_server(settings, container, lines)


def _of_failed_server(settings: Settings, container: Container, lines: list[str]) -> Problem:
    if problem := images.of_architecture("POSTGRES_IMAGE", settings):
        return problem
    state = docker.inspect(container.name).get(container.name, {}).get("State", {})
    if state.get("OOMKilled"):
        return problems.out_of_memory()
    if container.exit_code == KILLED:
        return problems.database_killed()
    evidence = "\n".join(lines[-SHOWN:])
    if full := [line for line in lines if any(words in line for words in postgres.FULL)]:
        return problems.disk_full("for the database", full[-1])
    return problems.database_died(container.status, evidence)
