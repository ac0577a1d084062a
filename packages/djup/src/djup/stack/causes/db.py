"""Why the database's container ended: by its exit code, and by asking the engine."""

import re

from djup.docker import base_images, containers, resources
from djup.docker.containers import Container
from djup.postgres import local_server
from djup.postgres.client import STARTS, rejected
from djup.problems import Problem, problem
from djup.settings.settings import Settings

# What compose/db.yaml's entrypoint ends with.
OTHER_VERSION, OTHER_SYSTEM, OTHER_PROJECT, NOT_MOUNTED = 71, 72, 73, 74
SHOWN = 6
KILLED = 137


def problem_of(settings: Settings, container: Container) -> Problem:
    """The problem that the database's container ended with."""
    image = settings.values["POSTGRES_IMAGE"]
    lines = containers.last_lines(container).splitlines()
    last = lines[-1] if lines else ""
    code = container.exit_code
    if code == OTHER_VERSION:
        written_by, ours = re.findall(r"PostgreSQL (\w+)", last)
        back = base_images.of_major(image, ours, written_by) or f"postgres:{written_by}"
        return other_version(written_by, image, ours, back)
    if code == OTHER_SYSTEM:
        system = last.partition(" written on ")[2].partition(",")[0]
        return problem("DB06", written_on=system, image=image)
    if code == OTHER_PROJECT:
        return problem("DB09", found=last.rpartition(" in ")[2].rstrip("."))
    if code == NOT_MOUNTED:
        return problem("DB07", where="the container itself")
    return _of_failed_server(settings, container, lines)


def other_version(written_by: str, image: str, ours: str, back: str) -> Problem:
    """The data are of another major version than ours: only an older one can be upgraded."""
    if written_by.isdecimal() and ours.isdecimal() and int(written_by) < int(ours):
        return problem("DB05.older", found=written_by, image=image, back=back)
    return problem("DB05", found=written_by, image=image, back=back)


def _of_failed_server(settings: Settings, container: Container, lines: list[str]) -> Problem:
    if cause := base_images.of_architecture("POSTGRES_IMAGE", settings):
        return cause
    state = resources.inspect(container.name).get(container.name, {}).get("State", {})
    if state.get("OOMKilled"):
        return problem("DB11")
    if container.exit_code == KILLED:
        return problem("DB13")
    evidence = "\n".join(lines[-SHOWN:])
    if full := [line for line in lines if any(words in line for words in local_server.FULL)]:
        return problem("SYS02", full[-1], where="for the database")
    if container.running and (starts := [line for line in lines if STARTS in line]):
        return rejected(starts[-1].partition("FATAL:")[2].strip())
    return problem("DB01", evidence, state=container.status)
