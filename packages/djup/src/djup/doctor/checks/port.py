"""The port of the page, while it is not served."""

from functools import partial

from djup.checkout import env_file
from djup.doctor.finding import Finding, Fix
from djup.host import ports
from djup.settings.settings import Settings


def check(settings: Settings) -> Finding:
    """Whether `inv up` could have it."""
    port = settings.web_port
    if ports.port_is_free(port):
        return Finding("port", f"{port} is free")
    free = str(ports.free_port(port))
    fix = Fix(f"writes WEB_PORT={free} to .env", partial(env_file.write_values, {"WEB_PORT": free}))
    return Finding("port", f"{port} is in use", ports.taken(port), fix, restarts=True)
