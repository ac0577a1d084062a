"""Whether the engine sees this folder. Driven from within a container, or on another machine, it
finds an empty folder of the same name, or none: the web would have no code."""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from djup import STATE
from djup.docker import refusals, resources
from djup.host import process
from djup.problems import problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.terminal.task import this_task

NOTE = STATE / "seen.json"
KNOWN = "manage.py"  # compared where nothing can be written
ABSENT = "No such file"


def refuse_unseen(settings: Settings, image: str) -> None:
    """Raise if a container of `image` does not find in project/ what is there; once it did, it is
    not asked again."""
    if this_task.dry or _noted():
        return
    with _file() as (name, text):
        mount = resources.bind(str(layout().folder), "/seen")
        user = f"{settings.values['APP_UID']}:{settings.values['APP_GID']}"
        flags = ["--rm", "--network", "none", "--user", user, "--mount", mount]
        done = process.run(["docker", "run", *flags, "--entrypoint", "cat", image, f"/seen/{name}"])
    absent = done.code and (refusals.UNSEEN in done.err or ABSENT in done.err)
    if absent or (not done.code and done.out and done.out != text):
        raise problem("DOCKER13", folder=str(layout().folder))
    if not done.code and STATE.exists():
        NOTE.write_text(json.dumps(_where()))


@contextmanager
def _file() -> Iterator[tuple[str, str]]:
    """The name and the text of a file in project/ that nobody else can have."""
    name = text = f".seen-{secrets.token_hex(8)}"
    try:
        (layout().folder / name).write_text(text)
        (layout().folder / name).chmod(0o644)
    except OSError:
        yield KNOWN, (layout().folder / KNOWN).read_text()
        return
    try:
        yield name, text
    finally:
        (layout().folder / name).unlink(missing_ok=True)


def _where() -> list[str]:
    """This folder, on this machine, and what leads docker to its engine."""
    folder = layout().folder.stat()
    names = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")
    machine = (socket.gethostname(), str(layout().folder), str(folder.st_dev), str(folder.st_ino))
    return [*machine, *(os.environ.get(name, "") for name in names)]


def _noted() -> bool:
    try:
        return bool(json.loads(NOTE.read_text()) == _where())
    except (OSError, ValueError):
        return False
