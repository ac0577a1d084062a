"""The port of the page, while it is not served."""

from functools import partial

from ops import newenv, ports, problems
from ops.checks import Finding
from ops.env import Settings


def check(settings: Settings) -> Finding:
    """Whether `inv up` could have it."""
    port = settings.web_port
    if ports.port_is_free(port):
        return Finding("port", f"{port} is free")
    free = ports.free_port(port)
    problem = problems.port_taken(port, ports.holder(port), free)
    return Finding("port", f"{port} is taken", problem, partial(_move, free))


def _move(port: int) -> None:
    newenv.write_values({"WEB_PORT": str(port)})
