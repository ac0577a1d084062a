"""The one place that chooses between the runtimes: tasks are handed a Stack."""

from djup.settings.settings import Settings
from djup.stack.stack import Stack


def stack_of(settings: Settings) -> Stack:
    """The stack on the runtime that `.env` names, whose module alone is imported."""
    if settings.in_containers:
        from djup.stack.docker_stack import DockerStack

        return DockerStack(settings)
    from djup.stack.embedded_stack import EmbeddedStack

    return EmbeddedStack(settings)
