"""Docker Compose, and the containers that it has made of a checkout's services."""

from collections.abc import Mapping, Sequence

from djup.checkout import web_env
from djup.docker import containers, engine
from djup.docker.containers import Container
from djup.host import process
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.settings.settings import Settings


def running(settings: Settings, service: str) -> Container:
    """The running container of a service, or the problem that none runs."""
    container = containers.running(settings, service)
    if container is None:
        raise problem("RUN01", service=service)
    return container


def find(settings: Settings, service: str) -> Container | None:
    """The container of a service, running or not; None if it has none."""
    return next((c for c in containers.containers(settings) if c.service == service), None)


def inside(
    container: Container,
    argv: Sequence[str],
    env: Sequence[str] = (),
    terminal: Sequence[str] | None = None,
) -> list[str]:
    """`docker exec` of `argv` in a container. `env` are variables, as NAME=VALUE or, so that their
    values stay out of argv, NAME; `terminal` are the flags for a terminal, if not our own's."""
    flags = engine.terminal_words() if terminal is None else terminal
    return ["docker", "exec", *flags, *engine.env_words(env), container.name, *argv]


def run(settings: Settings, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """`docker compose` on our own terminal, with these `variables` besides; `ChildFailed` with its
    exit code."""
    argv = ["docker", "compose", *arguments]
    code = process.attach(argv, env=web_env.compose_environment(settings) | dict(variables or {}))
    if code and not engine.answers():
        raise engine.diagnose("docker compose")
    if code:
        raise ChildFailed(code)


def step(settings: Settings, *arguments: str) -> None:
    """A command of Compose that is a step of ours, rather than the user's own."""
    try:
        run(settings, *arguments)
    except ChildFailed as failed:
        process.stop_if_interrupted(failed.code)
        raise
