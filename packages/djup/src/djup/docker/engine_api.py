"""Questions to a local engine on its own socket: for each, the command docker takes 50 ms to start.

Whoever asks here asks docker where this raises `Unanswered`: docker finds an engine wherever it is,
and has the words for why one does not answer.
"""

import json
import shutil
from typing import Any

from djup.docker import endpoint
from djup.host import http, process
from djup.terminal.task import this_task

VERSION = "v1.44"  # of Docker Engine 25.0, the oldest that we accept
SECONDS = 2  # for each step, before docker is asked
OK, NOT_FOUND = 200, 404
UNQUOTED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@")


class Unanswered(Exception):
    """The engine cannot be asked without docker, or has answered with an error."""


def get(path: str, **parameters: str) -> Any:
    """What the engine answers to this path of its API; None where it does not know the object."""
    query = "&".join(f"{name}={quoted(value)}" for name, value in parameters.items())
    try:
        answer = http.get_from_socket(_socket(), f"/{VERSION}{path}?{query}", SECONDS)
        told = json.loads(answer.body)
    except (OSError, ValueError) as error:
        raise Unanswered(error) from error
    if answer.status not in (OK, NOT_FOUND):
        raise Unanswered(answer.status)
    return told if answer.status == OK else None


def quoted(text: str) -> str:
    """`text` as a part of an address: urllib's quote, which takes some milliseconds to load."""
    letters = (chr(byte) for byte in text.encode())
    return "".join(c if c in UNQUOTED else f"%{ord(c):02X}" for c in letters)


def _socket() -> str:
    """The socket of the engine that a docker command would go to now."""
    if this_task.echo:  # which shows what is asked, as one would type it
        raise Unanswered("docker is to be asked")
    if not shutil.which("docker", path=process.environment().get("PATH")):
        raise Unanswered("what follows needs docker, too")
    if path := endpoint.local_socket():
        return path
    raise Unanswered("docker alone knows the engine")
