"""The services of a stack: by the compose files, or with a process each on the embedded runtime."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from djup import ROOT, STATE
from djup.checkout import web_env
from djup.docker import engine
from djup.host import process
from djup.problems import problem
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.terminal.task import this_task

NOTE = STATE / "services.json"
OF_CODE = web_env.OF_CODE
"""djup's services that run the project's code: on every runtime."""
OF_TOOLKIT = {
    "worker": "runs jobs (tasks that your code enqueues)",
    "schedule": "runs code at fixed times",
    "mail": "catches every mail in development, and shows it on a page",
}
"""djup's services, each with what it does."""


def named(name: str, known: Iterable[str]) -> str:
    """`name`, if it is one of the `known` services."""
    if name not in known:
        raise problem("RUN02", service=repr(name), known=", ".join(known))
    return name


def of_compose(settings: Settings) -> dict[str, bool]:
    """The services of the compose files by name, sorted; of each whether it may end by itself.

    Compose is asked once for each content of these files, since it takes as long as all the rest of
    a task that changes nothing.
    """
    found = _noted(inputs := _inputs(settings))
    if found is None:
        if this_task.dry:
            return dict.fromkeys(sorted(_without_database(settings, ("db", "web"))), False)
        found = _ask_compose(settings)
        _note(inputs, found)
    return {name: found[name] for name in sorted(_without_database(settings, found))}


def last_known() -> list[str]:
    """The names that Compose has told of last, for completion, which asks nobody."""
    try:
        return sorted(json.loads(NOTE.read_text())["services"])
    except (OSError, ValueError, KeyError, TypeError):
        return sorted(("db", "web", *layout().services))


def of_processes(settings: Settings) -> tuple[str, ...]:
    """The services that the embedded runtime has a process for, sorted."""
    named_here = (name for name in OF_CODE if name in layout().services)
    return tuple(sorted(_without_database(settings, ("db", "web", *named_here))))


def without_process() -> list[str]:
    """The services that the embedded runtime has no process for."""
    return [name for name in layout().services if name not in OF_CODE]


def _without_database(settings: Settings, names: Iterable[str]) -> list[str]:
    return [name for name in names if name != "db" or settings.has_own_database]


def _inputs(settings: Settings) -> str:
    """A hash of the compose files, those that they may include, and what chooses among services."""
    files = [ROOT / name for name in web_env.compose_files(settings)]
    files += sorted((ROOT / "compose").glob("*.yaml"))
    digest = hashlib.sha256(json.dumps(sorted(settings.values.items())).encode())
    for file in files:
        digest.update(b"\0" + str(file).encode() + b"\0")
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()[:16]


def _noted(inputs: str) -> dict[str, bool] | None:
    try:
        noted = json.loads(NOTE.read_text())
        return dict(noted["services"]) if noted["inputs"] == inputs else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(inputs: str, found: Mapping[str, bool]) -> None:
    part = NOTE.with_suffix(".part")
    part.write_text(json.dumps({"inputs": inputs, "services": dict(found)}))
    part.replace(NOTE)


def _ask_compose(settings: Settings) -> dict[str, bool]:
    argv = ["docker", "compose", "config", "--format", "json"]
    done = process.run(argv, env=web_env.compose_environment(settings))
    if done.code:
        raise engine.diagnose("docker compose config", done.err.strip())
    return {name: _may_end(one) for name, one in json.loads(done.out)["services"].items()}


def _may_end(service: Mapping[str, Any]) -> bool:
    """Whether a service may be one that does its work and ends: neither a health check nor a
    restart policy says that it is to stay."""
    stays = service.get("restart", "no") != "no" or "healthcheck" in service
    return not stays
