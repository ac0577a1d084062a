"""How `.env` comes to be: `.env.example` with what has to be this checkout's own filled in."""

import hashlib
import os
import re
import secrets
import shutil
import socket
import string

from ops import ROOT, console, docker, problems, process
from ops.env import ENV, EXAMPLE

LETTERS = string.ascii_letters + string.digits


def make() -> str:
    """Write `.env` (0600) and return its text; under --dry the text alone."""
    text = _fill(EXAMPLE.read_text(encoding="utf-8"), _own_values())
    if process.mode.dry:
        console.say(".env would be made from .env.example")
        return text
    try:
        return _write(text)
    except OSError as error:
        raise problems.env_not_writable(error.strerror or str(error)) from error


def set_runtime(name: str) -> None:
    """Write RUNTIME into `.env`, and touch nothing else in it: the user has asked for this."""
    target = ENV.resolve()
    text = target.read_bytes().decode("utf-8")
    line = r"(?m)^(\s*(?:export\s+)?RUNTIME=)[^\r\n]*"
    changed, found = re.subn(line, rf"\g<1>{name}", text)
    part = target.with_name(f".env.part{os.getpid()}")
    part.touch(0o600, exist_ok=False)
    part.write_bytes((changed if found else f"{text.rstrip()}\nRUNTIME={name}\n").encode())
    shutil.copystat(target, part)
    if os.geteuid() == 0:
        os.chown(part, target.stat().st_uid, target.stat().st_gid)
    part.replace(target)


def free_port(first: int = 8000) -> int:
    """The first port from `first` on that nothing on the loopback interface listens on."""
    return next(port for port in range(first, 65536) if port_is_free(port))


def port_is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` could be listened on now."""
    with socket.socket() as probe:
        # As servers do: a connection of before that the kernel still remembers is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def project_name() -> str:
    """The folder's name and a hash of its path: unlike that of any other checkout."""
    folder = re.sub(r"[^a-z0-9]+", "-", ROOT.name.lower()).strip("-")[:32] or "project"
    return f"{folder}-{hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:6]}"


def _own_values() -> dict[str, str]:
    owner = ROOT.stat()
    return {
        "RUNTIME": "docker" if docker.engine_answers() else "embedded",
        "COMPOSE_PROJECT_NAME": project_name(),
        "WEB_PORT": str(free_port()),
        "SECRET_KEY": _random(64),
        "SQL_PASSWORD": _random(32),
        "APP_UID": str(owner.st_uid),
        "APP_GID": str(owner.st_gid),
    }


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _fill(example: str, own: dict[str, str]) -> str:
    for key, value in own.items():
        example = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", example)
    return example


def _write(text: str) -> str:
    part = ENV.with_name(f".env.part{os.getpid()}")
    part.touch(0o600, exist_ok=False)
    try:
        part.write_text(text, encoding="utf-8")
        if os.geteuid() == 0:  # under sudo: it is the owner of the checkout who will edit it
            os.chown(part, ROOT.stat().st_uid, ROOT.stat().st_gid)
        os.link(part, ENV)  # unlike a rename, never over one that a second `inv` has just made
    except FileExistsError:
        return ENV.read_text(encoding="utf-8")
    finally:
        part.unlink()
    _say_what_was_chosen(text)
    return text


def _say_what_was_chosen(text: str) -> None:
    chosen = dict(line.split("=", 1) for line in text.splitlines() if re.match("[A-Z]", line))
    console.say(
        f".env made from .env.example: project {chosen['COMPOSE_PROJECT_NAME']}, "
        f"runtime {chosen['RUNTIME']}, port {chosen['WEB_PORT']}, own random secrets"
    )
    if chosen["RUNTIME"] == "embedded":
        console.say(
            "No Docker engine answers, so PostgreSQL runs embedded, from a wheel. "
            "Once one does, this switches: inv up --runtime docker"
        )
    elif chosen["APP_UID"] == "0":
        console.say("this folder belongs to root, so the web container runs as root as well")
