"""A container of the stack's on the node that the commands go to, with its secrets and networks.

Tasks run wherever Swarm puts them, out of reach of `docker exec`. This one runs here.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from djup.deploy.swarm import jobs
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.docker import engine
from djup.host import process
from djup.problems import Problem, problem
from djup.terminal.task import this_task

ROLE = "tools"
WAIT_SECONDS = 120  # for an image to be fetched
USUAL_SECONDS = 2  # then something may be in the way
NODE_SECONDS = 20  # for a node: a Swarm with a new leader has none to give at first
HOURS_12 = "43200"  # if its task is killed, it ends by itself
GONE = "no such image"


@contextmanager
def toolbox(
    release: Release,
    swarm: Swarm,
    image: str = "",
    *,
    temporary: str = "tmpfs",
    further: Sequence[str] = (),
) -> Iterator[str]:
    """The container's name; of the web's image, or of another one with the same secrets. `further`
    names secrets that the web itself has not got."""
    if this_task.dry:
        yield f"{release.stack}_tools"
        return
    _remove_ended(release.stack)
    name = f"{release.stack}_tools_{secrets.token_hex(4)}"
    here = ["--constraint", f"node.id=={swarm.here}"]
    sleep = ["sleep", HOURS_12]
    chosen = image or release.image

    def create() -> None:
        words = (release, name, ROLE, chosen, here, sleep)
        jobs.create(*words, temporary=temporary, further=further)

    try:
        yield _container(name, chosen, release, create)
    finally:
        process.clean_up(["docker", "service", "rm", name])


def run(container: str, argv: Sequence[str]) -> process.Result:
    """Ask a program in it, captured."""
    return process.run(["docker", "exec", container, *argv])


def read_secret(container: str, name: str) -> str:
    """The content of one of the secrets that it has; '' under --dry."""
    if this_task.dry:
        return ""
    done = run(container, ["cat", f"/run/secrets/{name}"])
    if done.code:
        raise problem("DEP24", command="docker exec", reason=done.err.strip())
    return done.out


def attach(container: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Run a program in it on our own terminal; values of `env` stay out of argv."""
    words = [*engine.terminal_words(), *engine.env_words(env or {})]
    command = ["docker", "exec", *words, container, *argv]
    sys.stdout.flush()
    process.attach_or_fail(command, env={**os.environ, **(env or {})})


def _container(service: str, image: str, release: Release, create: Callable[[], object]) -> str:
    """A service's container on this node, once it runs; created again if the engine is busy."""
    obstacle = ""
    for _ in range(jobs.STARTS):
        create()
        container, obstacle = _started(service)
        if container:
            return container
        if jobs.BUSY not in obstacle:
            break
        process.clean_up(["docker", "service", "rm", service])
    raise _no_tools(obstacle, image, release)


def _started(service: str) -> tuple[str, str]:
    """Its container, or why there will be none."""
    begun = time.monotonic()
    listing = ("ps", "--filter", f"label=com.docker.swarm.service.name={service}")
    while not (containers := engine.ask(*listing, "--format", "{{.Names}}").split()):
        seconds = time.monotonic() - begun
        if seconds > USUAL_SECONDS and (obstacle := _obstacle(service, seconds)):
            return "", obstacle
        time.sleep(0.2)
    return containers[0], ""


def _no_tools(obstacle: str, image: str, release: Release) -> Problem:
    """As a problem: an image that was pruned can be had again."""
    if GONE not in obstacle.lower():
        return problem("DEP21", error=obstacle)
    again = engine.as_typed(f"pull {image}")
    if image == release.image:
        again = f"build it again, from commit {release.commit}: inv deploy"
    again += "; then run the same command again"
    return problem("DEP45", image=image, error=obstacle, again=again)


def _obstacle(service: str, seconds: float) -> str:
    """Why it will not run, of one that was made so many seconds ago; '' as long as it may."""
    lines = engine.ask("service", "ps", "--no-trunc", "--format", "{{json .}}", service)
    for task in map(json.loads, lines.splitlines()):
        waits = task["CurrentState"].startswith("Pending")
        if task["Error"] and (seconds > NODE_SECONDS or not waits):
            return str(task["Error"].strip('"'))
    return f"it does not run after {WAIT_SECONDS} s" if seconds > WAIT_SECONDS else ""


def _remove_ended(stack: str) -> None:
    """Remove the toolboxes that killed tasks have left."""
    for name in jobs.names(stack, ROLE):
        if not engine.ask("service", "ps", "--filter", "desired-state=running", "-q", name).strip():
            process.run(["docker", "service", "rm", name])
