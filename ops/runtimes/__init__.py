"""The same tasks on different engines; nothing above this folder knows which one it talks to."""

from ops.env import Settings
from ops.runtimes.stack import Stack


def of(settings: Settings) -> Stack:
    """The stack on the runtime that `.env` names, whose module alone is imported."""
    if settings.in_containers:
        from ops.runtimes.docker_stack import DockerStack

        return DockerStack(settings)
    from ops.runtimes.embedded_stack import EmbeddedStack

    return EmbeddedStack(settings)
