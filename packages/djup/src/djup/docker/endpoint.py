"""The engine that docker commands go to, and what leads them there: decided as docker does."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from djup import ROOT
from djup.host import process

SOCKET = "/var/run/docker.sock"
USUAL = ("", "default")  # the names of the context that is there without any settings
UNREADABLE = (OSError, ValueError, RuntimeError)  # RuntimeError: no home folder is known


def chosen() -> tuple[str, str]:
    """What leads docker to an engine elsewhere, and where to; two '' for the usual one.

    DOCKER_HOST beats DOCKER_CONTEXT, which beats the context that `docker context use` chose.
    """
    variables = process.environment()
    if host := variables.get(process.HOST):
        return process.HOST, host
    chosen_by = process.CONTEXT if variables.get(process.CONTEXT) else "docker context"
    try:
        name = variables.get(process.CONTEXT) or _chosen_context(variables)
    except UNREADABLE:  # docker warns of such settings, and goes without
        name = ""
    if name in USUAL:
        return "", ""
    query = ["docker", "context", "inspect", name, "--format", "{{.Endpoints.docker.Host}}"]
    return chosen_by, process.run(query).out.strip() or f"context {name}"


def is_elsewhere(host: str) -> bool:
    """Whether an engine's address is that of another machine, as far as the address tells."""
    scheme, _, rest = host.partition("://")
    name = re.split(r"[:/]", rest.rpartition("@")[2])[0]
    return scheme in ("ssh", "tcp", "http", "https") and name not in ("localhost", "127.0.0.1")


def local_socket() -> str:
    """The socket of the engine, where that is known without asking docker; else ''."""
    variables = process.environment()
    if host := variables.get(process.HOST):
        return host.removeprefix("unix://") if host.startswith("unix:///") else ""
    try:
        name = variables.get(process.CONTEXT) or _chosen_context(variables)
    except UNREADABLE:  # only docker can tell what it makes of such settings
        return ""
    return SOCKET if name in USUAL else ""


def _chosen_context(variables: Mapping[str, str]) -> str:
    """The context that `docker context use` chose; '' if none, an error if that cannot be read."""
    folder = Path(ROOT, variables.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        settings = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        return ""
    if not isinstance(settings, dict):
        raise ValueError("no settings of docker")
    return str(settings.get("currentContext") or "")
