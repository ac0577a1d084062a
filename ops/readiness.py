"""What the web says of itself at /readyz, whichever runtime serves it."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from ops.env import Settings


@dataclass(frozen=True)
class Readiness:
    """Ready or not, why not, and the migrations that the database lacks."""

    ready: bool
    reason: str = ""
    unapplied: tuple[str, ...] = ()


def ask(settings: Settings, timeout: float = 10.0) -> Readiness:
    """Ask /readyz on the published port; `timeout` in seconds."""
    connection = HTTPConnection("127.0.0.1", settings.web_port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        answer = json.loads(response.read())
        return Readiness(
            bool(answer["ready"]), answer.get("reason", ""), tuple(answer.get("unapplied", ()))
        )
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        return Readiness(False, f"{settings.url}readyz does not answer ({error})")
    finally:
        connection.close()
