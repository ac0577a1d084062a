"""Why an image is not there, or the database's container ended: by asking the engine."""

import errno
import os
import re
import sys
import tempfile

from ops import ROOT, docker, problems, process
from ops.docker import Container
from ops.env import Settings
from ops.lock import STATE
from ops.problems import Problem

# What compose/db.yaml's entrypoint ends with.
OTHER_VERSION, OTHER_SYSTEM, OTHER_PROJECT, NOT_MOUNTED = 71, 72, 73, 74
NO_SPACE = os.strerror(errno.ENOSPC)
NO_MANIFEST = "no matching manifest"
NO_IMAGE = ("not found", "manifest unknown", "pull access denied", "invalid reference", "denied")
SHOWN = 6
BUILD_LOG = STATE / "build.log"


def of_database(settings: Settings, container: Container) -> Problem:
    """The problem that the database's container ended with, or is unhealthy by."""
    image = settings.values["POSTGRES_IMAGE"]
    lines = docker.last_lines(container).splitlines()
    last = lines[-1] if lines else ""
    code = container.exit_code
    if code == OTHER_VERSION:
        found, ours = re.findall(r"PostgreSQL (\w+)", last)
        return problems.other_version(found, image, re.sub(rf"(?<!\d){ours}(?!\d)", found, image))
    if code == OTHER_SYSTEM:
        return problems.other_system(last.partition(" written on ")[2].partition(",")[0], image)
    if code == OTHER_PROJECT:
        return problems.other_layout(last.rpartition(" in ")[2].rstrip("."))
    if code == NOT_MOUNTED:
        return problems.data_not_kept("the container itself")
    return _of_failed_server(settings, container, lines)


def _of_failed_server(settings: Settings, container: Container, lines: list[str]) -> Problem:
    if problem := of_architecture("POSTGRES_IMAGE", settings):
        return problem
    state = docker.inspect(container.name).get(container.name, {}).get("State", {})
    if state.get("OOMKilled"):
        return problems.out_of_memory()
    evidence = "\n".join(lines[-SHOWN:])
    if full := [line for line in lines if NO_SPACE in line]:
        return problems.disk_full("for the database", full[-1])
    return problems.database_died(container.status, evidence)


def of_architecture(key: str, settings: Settings) -> Problem | None:
    """Whether the image of `key` is built for another machine than the engine's."""
    image = settings.values[key]
    built_for = docker.inspect(image).get(image, {}).get("Architecture", "")
    machine = docker.ask("version", "--format", "{{.Server.Arch}}").strip()
    if built_for in ("", machine):
        return None
    return problems.image_of_other_machine(key, image, built_for, machine)


def pull(settings: Settings, key: str) -> None:
    """Fetch the image of `key`, or say why it cannot be."""
    image = settings.values[key]
    with tempfile.TemporaryFile("w+") as errors:
        code = process.attach(["docker", "pull", image], progress=True, err=errors)
        errors.seek(0)
        said = errors.read().strip()
    if code in process.INTERRUPTED:
        raise process.ChildFailed(code)
    if code:
        raise _of_pull(settings, key, image, said)


def _of_pull(settings: Settings, key: str, image: str, said: str) -> Problem:
    if not docker.engine_answers():
        return docker.diagnose(f"docker pull {image}", said)
    if NO_SPACE in said:
        return problems.disk_full("for images", said)
    if NO_MANIFEST in said:
        machine = docker.ask("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").strip()
        return problems.image_of_other_machine(key, image, "other machines", machine)
    if any(words in said for words in NO_IMAGE):
        return problems.image_not_found(key, image, said)
    return problems.registry_unreachable(image, said)


def build(settings: Settings, argv: list[str], env: dict[str, str], old_serves: bool) -> None:
    """Run the build: with its progress on a terminal, else into a log of which the end counts."""
    if sys.stderr.isatty() or process.mode.dry:
        code, said = process.attach(argv, env=env, progress=True), ""
    else:
        STATE.mkdir(mode=0o700, exist_ok=True)
        with BUILD_LOG.open("w") as log:
            code = process.attach(argv, env=env, out=log, err=log)
        said = BUILD_LOG.read_text(errors="replace")
    if code in process.INTERRUPTED:
        raise process.ChildFailed(code)
    if code:
        raise _of_build(settings, said, old_serves)


def _of_build(settings: Settings, said: str, old_serves: bool) -> Problem:
    if not docker.engine_answers():
        return docker.diagnose("docker compose build")
    if problem := of_architecture("PYTHON_IMAGE", settings):
        return problem
    if full := [line for line in said.splitlines() if NO_SPACE in line]:
        return problems.disk_full("for the build", full[-1])
    log = f"less {BUILD_LOG.relative_to(ROOT)}" if said else "it stands above"
    return problems.build_failed(failing_step(said), old_serves, log)


def failing_step(said: str) -> str:
    """The step that failed and its last lines, which BuildKit puts between two dashed ones."""
    lines = said.splitlines()
    rules = [number for number, line in enumerate(lines) if line == "------"]
    if len(rules) >= 2:
        step, *output = lines[rules[-2] + 1 : rules[-1]]
        return "\n".join([step, *output[-SHOWN:]])
    return "\n".join(line for line in lines[-SHOWN:] if line.strip())
