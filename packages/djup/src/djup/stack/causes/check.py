"""What a service's own health check says, where nothing else is wrong with the service."""

import time
from typing import Any

from djup.docker import resources
from djup.docker.containers import Container
from djup.host import process
from djup.problems import Problem, problem

CHECK_SECONDS = 20
SHOWN = 6


def problem_of(container: Container, patience: float = 2.0) -> Problem | None:
    """The problem, if the check of a running container fails now, and still after some seconds of
    patience: what docker tells of it may lag behind."""
    inspected = resources.inspect(container.name).get(container.name, {})
    argv = _argv(inspected)
    if not argv:
        return None
    deadline = time.monotonic() + patience
    while True:
        done = process.run(["docker", "exec", container.name, *argv], timeout=CHECK_SECONDS)
        if not done.code:
            return None
        if time.monotonic() > deadline:
            said = (
                last_said(inspected) or done.err.strip() or done.out.strip() or "it printed nothing"
            )
            service, name = container.service, container.name
            return problem("WEB10", said, service=service, container=name, code=done.code)
        time.sleep(0.5)


def last_said(inspected: dict[str, Any]) -> str:
    """The end of what the check of an inspected container has printed, as docker has kept it."""
    log = (inspected.get("State", {}).get("Health") or {}).get("Log") or []
    said = next((result["Output"] for result in reversed(log) if result["Output"].strip()), "")
    return "\n".join(line.rstrip() for line in said.strip().splitlines()[-SHOWN:])


def _argv(inspected: dict[str, Any]) -> list[str]:
    """The check as a command; none where there is no check."""
    test = (inspected.get("Config", {}).get("Healthcheck") or {}).get("Test") or []
    kind, *words = test or ["NONE"]
    return {"CMD": words, "CMD-SHELL": ["sh", "-c", *words]}.get(kind, [])
