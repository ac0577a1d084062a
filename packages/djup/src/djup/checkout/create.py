"""How `.env` comes to be: `.env.example` with what has to be this checkout's own filled in."""

import hashlib
import os
import re
import secrets
import string
from collections.abc import Mapping
from pathlib import Path

from djup import ROOT
from djup.checkout import env_file, web_env
from djup.docker import engine
from djup.host import ports
from djup.problems import problem
from djup.settings import dotenv
from djup.terminal import console
from djup.terminal.task import this_task

LETTERS = string.ascii_letters + string.digits
MAIL_AFTER = 25  # from the web's port to that of the page of mails
FIRST_PORT = 8000  # where `.env.example` names none


def make(runtime: str = "", port: str = "", theirs: str = "") -> str:
    """Write `.env` (0600) and return its text; under --dry the text alone.

    `theirs` is the text of one that the project has had before it had these tasks: it stays, and
    the keys that it lacks come after it.
    Without a `port` it is the first that is free. Without a `runtime` it is docker if an engine
    answers. One that is there, but closed to us, is a problem: the choice is the user's.
    """
    chosen = runtime or _runtime_of_this_machine()
    example = env_file.example()
    own = _own_values(chosen, port or _free_port(example))
    text = _fill(example, own | _with_sources(dotenv.parse(example)))
    if this_task.dry:
        console.say(".env would be created from .env.example")
        return text
    if theirs:
        return _complete(theirs, text)
    try:
        return _write(text, asked=bool(runtime))
    except OSError as error:
        raise problem("ENV07", reason=error.strerror or str(error)) from error


def _runtime_of_this_machine() -> str:
    if engine.answers():
        return "docker"
    if cause := engine.obstacle():
        raise cause
    return "embedded"


def project_name(root: Path | None = None) -> str:
    """This folder's name (or that of `root`) and a hash of its path: unlike that of any other
    checkout."""
    root = root or ROOT
    folder = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:32] or "project"
    return f"{folder}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:6]}"


def _free_port(example: str) -> str:
    """The first from that of `.env.example` on, where a team may have a range of its own."""
    match = re.search(r"(?m)^WEB_PORT=([0-9]{1,5})\s*$", example)
    return str(ports.free_port(int(match[1]) if match else FIRST_PORT))


def mail_port(web_port: str) -> str:
    """A free port for the page of mails: each checkout has one, as it has one for the web."""
    known = web_port.isdecimal() and int(web_port) < 65000
    return str(ports.free_port((int(web_port) if known else FIRST_PORT) + MAIL_AFTER))


def _own_values(runtime: str, port: str) -> dict[str, str]:
    owner = ROOT.stat()
    return {
        "RUNTIME": runtime,
        "COMPOSE_PROJECT_NAME": project_name(),
        "CHECKOUT": dotenv.quoted(str(ROOT)),
        "WEB_PORT": port,
        "MAIL_PORT": mail_port(port),
        "SECRET_KEY": random_word(64),
        "SQL_PASSWORD": random_word(32),
        "APP_UID": str(owner.st_uid),
        "APP_GID": str(owner.st_gid),
    }


def _with_sources(example: Mapping[str, str]) -> dict[str, str]:
    """The compose files with the one that mounts the toolkit's sources, where there are any."""
    files = (example.get("COMPOSE_FILE", ""), *web_env.of_sources())
    joined = example.get("COMPOSE_PATH_SEPARATOR", ":").join(files)
    return {"COMPOSE_FILE": joined} if all(files) and len(files) > 1 else {}


def random_word(length: int) -> str:
    """A secret of letters and digits alone: every reader of `.env` sees the same."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _fill(example: str, own: dict[str, str]) -> str:
    for key, value in own.items():
        example = env_file.with_value(example, key, value)
    return example


def _write(text: str, *, asked: bool) -> str:
    part = env_file.ENV.with_name(f".env.part{os.getpid()}")
    part.touch(0o600, exist_ok=False)
    try:
        part.write_text(text, encoding="utf-8")
        if os.geteuid() == 0:  # under sudo: it is the owner of the checkout who will edit it
            os.chown(part, ROOT.stat().st_uid, ROOT.stat().st_gid)
        os.link(
            part, env_file.ENV
        )  # unlike a rename, never over one that a second `inv` has just made
    except FileExistsError:
        return env_file.ENV.read_text(encoding="utf-8")
    finally:
        part.unlink()
    _say_what_was_chosen(text, asked=asked)
    return text


def _complete(theirs: str, ours: str) -> str:
    """Append to a project's own `.env` what it lacks of ours."""
    lacking = dotenv.parse(ours).keys() - dotenv.parse(theirs).keys()
    env_file.append(env_file.paragraphs(ours, lacking))
    console.say(
        f".env has {len(lacking)} more keys, which the tasks need; your own keys are unchanged"
    )
    return env_file.read(env_file.ENV)


def _say_what_was_chosen(text: str, *, asked: bool) -> None:
    chosen = dict(line.split("=", 1) for line in text.splitlines() if re.match("[A-Z]", line))
    console.say(
        f".env created from .env.example: project {chosen['COMPOSE_PROJECT_NAME']}, "
        f"runtime {chosen['RUNTIME']}, port {chosen['WEB_PORT']}, own random secrets"
    )
    if chosen["RUNTIME"] == "embedded" and not asked:
        console.say(
            "The Docker engine does not answer, so PostgreSQL runs embedded, from a wheel. "
            "To switch once it does: inv up --runtime docker"
        )
    elif chosen["APP_UID"] == "0":
        console.say("this folder belongs to root, so the web container runs as root as well")
