"""One deploy of a stack at a time, from whatever machine: the lock lies in the Swarm."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ops import docker, process
from ops.deploy import objects, problems

ROLE = "lock"


@contextmanager
def one_deploy(stack: str) -> Iterator[None]:
    """Hold the lock; who was killed on this machine has let go of it."""
    if process.mode.dry:
        yield
        return
    name = f"{stack}_deploying"
    _let_go_of_killed(stack, name)
    holder = {"host": socket.gethostname(), "pid": os.getpid()}
    labels = ["--label", f"{objects.STACK}={stack}", "--label", f"{objects.KIND}={ROLE}"]
    labels += [w for key, value in holder.items() for w in ("--label", f"deploy.{key}={value}")]
    made = process.run(["docker", "config", "create", *labels, name, "-"], stdin="1")
    if made.code and name in _held(stack):
        raise problems.deploy_runs(stack, _by(name), name)
    if made.code:
        raise docker.diagnose("docker config create", made.err)
    try:
        yield
    finally:
        process.clean_up(["docker", "config", "rm", name])


def _let_go_of_killed(stack: str, name: str) -> None:
    import psutil  # slow to load

    if name not in _held(stack):
        return
    found = _labels(name)
    gone = not psutil.pid_exists(int(found.get("deploy.pid", 0)))
    if found.get("deploy.host") == socket.gethostname() and gone:
        process.run(["docker", "config", "rm", name])


def _held(stack: str) -> list[str]:
    """The lock, if somebody holds it; `docker stack rm` does not take it along."""
    return objects.names("config", stack, ROLE, label=objects.STACK)


def _by(name: str) -> str:
    found = _labels(name)
    return (
        f"process {found.get('deploy.pid', '?')} on {found.get('deploy.host', 'another machine')}"
    )


def _labels(name: str) -> dict[str, str]:
    found = process.run(["docker", "config", "inspect", name])
    return dict(json.loads(found.out)[0]["Spec"]["Labels"]) if not found.code else {}
