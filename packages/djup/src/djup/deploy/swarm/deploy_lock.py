"""One deploy of a stack at a time, from whatever machine: the lock lies in the Swarm."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from djup.deploy.swarm import objects
from djup.docker import engine
from djup.host import process
from djup.problems import problem
from djup.terminal.task import this_task

ROLE = "lock"


@contextmanager
def one_deploy(stack: str) -> Iterator[None]:
    """Hold the lock; who was killed on this machine has let go of it."""
    if this_task.dry:
        yield
        return
    if _is_killed(stack):
        process.run(["docker", "config", "rm", _name(stack)])
    _take(stack)
    try:
        yield
    finally:
        process.clean_up(["docker", "config", "rm", _name(stack)])


def _take(stack: str) -> None:
    """Create the lock; a Problem that says who has it, if somebody does."""
    name = _name(stack)
    created = process.run(["docker", "config", "create", *_our_labels(stack), name, "-"], stdin="1")
    if created.code and name in _held(stack):
        unlock = engine.as_typed(f"config rm {name}")
        raise problem("DEP09", stack=stack, by=_by(name), unlock=unlock)
    if created.code:
        raise engine.diagnose("docker config create", created.err)


def _our_labels(stack: str) -> list[str]:
    labels = {
        objects.STACK: stack,
        objects.KIND: ROLE,
        "deploy.host": socket.gethostname(),
        "deploy.pid": str(os.getpid()),
    }
    return [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]


def holder(stack: str) -> str:
    """Who deploys at the moment, in words; '' if nobody does."""
    held = _name(stack) in _held(stack) and not _is_killed(stack)
    return _by(_name(stack)) if held else ""


def _name(stack: str) -> str:
    return f"{stack}_deploying"


def _is_killed(stack: str) -> bool:
    """Whether a process of this machine holds the lock, and is no more."""
    import psutil  # slow to load

    if _name(stack) not in _held(stack):
        return False
    labels = _labels(_name(stack))
    gone = not psutil.pid_exists(int(labels.get("deploy.pid", 0)))
    return labels.get("deploy.host") == socket.gethostname() and gone


def _held(stack: str) -> list[str]:
    """The lock, if somebody holds it; `docker stack rm` does not take it along."""
    return objects.names("config", stack, ROLE, label=objects.STACK)


def _by(name: str) -> str:
    labels = _labels(name)
    return (
        f"process {labels.get('deploy.pid', '?')} on {labels.get('deploy.host', 'another machine')}"
    )


def _labels(name: str) -> dict[str, str]:
    result = process.run(["docker", "config", "inspect", name])
    return dict(json.loads(result.out)[0]["Spec"]["Labels"]) if not result.code else {}
