"""The port of the page, while it is not served."""

from functools import partial

from ops import newenv, ports
from ops.checks import Finding, Fix
from ops.env import Settings


def check(settings: Settings) -> Finding:
    """Whether `inv up` could have it."""
    port = settings.web_port
    if ports.port_is_free(port):
        return Finding("port", f"{port} is free")
    free = str(ports.free_port(port))
    fix = Fix(f"writes WEB_PORT={free} into .env", partial(newenv.write_values, {"WEB_PORT": free}))
    return Finding("port", f"{port} is taken", ports.taken(port), fix)
