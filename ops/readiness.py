"""What the web says of itself at /readyz, whichever runtime serves it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from ops import console
from ops.env import Settings

SETTLE_SECONDS = 10


@dataclass(frozen=True)
class Readiness:
    """Ready or not, why not, and the migrations that the database lacks."""

    ready: bool
    reason: str = ""
    unapplied: tuple[str, ...] = ()


NOT_RUNNING = Readiness(False, "the web is not running")


def ask(settings: Settings, timeout: float = 10.0) -> Readiness:
    """Ask /readyz on the published port; `timeout` in seconds."""
    from http.client import HTTPConnection, HTTPException  # slow to load, and not always asked

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


def wait(settings: Settings, seconds: float) -> None:
    """Return once the web is ready, or after `seconds`; once it is, in a moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if ask(settings).ready:
            return


def migrated(settings: Settings, migrate: Callable[[], None]) -> Readiness:
    """What a web that runs says, after it has applied the migrations added since its start."""
    answer = _settled(settings)
    if answer.unapplied:
        console.say(f"not migrated yet: {', '.join(answer.unapplied)}")
        migrate()
        answer = _settled(settings)
    return answer


def _settled(settings: Settings) -> Readiness:
    # Where a file was saved a moment ago, the server is starting anew.
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        answer = ask(settings)
        if answer.ready or answer.unapplied or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)
