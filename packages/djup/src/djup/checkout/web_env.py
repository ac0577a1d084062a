"""What of `.env` the development web gets: all but what is production's, or the build's."""

import os
from collections.abc import Collection, Mapping

from djup import ROOT, SOURCES, STATE
from djup.checkout import env_file
from djup.settings import dotenv
from djup.settings.settings import Settings
from djup.terminal.task import this_task

OURS = SOURCES / "djup-web" / "compose.yaml"
FILE = STATE / "web.env"  # compose/dev.yaml names it
PREFIXES = ("PROD_", "DEPLOY_")
OTHERS = {
    *("STACK", "DOMAIN", "EMAIL", "TLS", "TLS_CERT", "TLS_KEY", "REGISTRY"),
    *("HTTP_PORT", "HTTPS_PORT", "MAX_BODY", "CADDY_IMAGE", "NETWORK_ENCRYPTED"),
    *("WEB_REPLICAS", "WEB_WORKERS", "WEB_THREADS", "WEB_MEMORY", "POOL_SIZE", "PGBOUNCER_IMAGE"),
    *("PIP_INDEX_URL", "PIP_CERT"),  # of the build alone: a password may be in them
}


def without_production(
    values: Mapping[str, str], others: Collection[str] = OTHERS
) -> dict[str, str]:
    """The variables less those that only a deploy or a build needs."""
    return {key: text for key, text in values.items() if not _is_of_production(key, others)}


def compose_environment(settings: Settings) -> dict[str, str]:
    """The environment of a `docker compose`; the file that it hands to the web is written first."""
    if not this_task.dry:
        _write(text())
    environment = settings.child_environment()
    if of_sources():  # which an older `.env` does not name
        separator = settings.values["COMPOSE_PATH_SEPARATOR"]
        environment["COMPOSE_FILE"] = separator.join(compose_files(settings))
    return environment


def compose_files(settings: Settings) -> list[str]:
    """The compose files of the stack, from the root of the checkout: those of `.env` and, where the
    toolkit is worked on, the one that mounts its sources."""
    composed = settings.values["COMPOSE_FILE"].split(settings.values["COMPOSE_PATH_SEPARATOR"])
    return [*composed, *(file for file in of_sources() if file not in composed)]


def of_sources() -> list[str]:
    """The compose file that mounts the toolkit's sources, where it is worked on; else none."""
    return [str(OURS.relative_to(ROOT))] if OURS.exists() else []


def _is_of_production(key: str, others: Collection[str] = OTHERS) -> bool:
    return key.startswith(PREFIXES) or key in others


def text() -> str:
    """The lines of `.env` as they are spelled, which every reader takes alike; without comments."""
    if not env_file.ENV.exists():  # under --dry in a fresh clone
        return ""
    lines = env_file.ENV.read_text(encoding="utf-8-sig").splitlines()
    matched = ((dotenv.LINE.fullmatch(line), line) for line in lines)
    return "".join(f"{line}\n" for key, line in matched if key and not _is_of_production(key[1]))


def _write(lines: str) -> None:
    """Replace the file where it differs; readable by its owner alone, as `.env` is."""
    if FILE.exists() and FILE.read_text(encoding="utf-8") == lines:
        return
    STATE.mkdir(mode=0o700, exist_ok=True)
    part = FILE.with_name(f"{FILE.name}.{os.getpid()}")
    part.touch(0o600)
    part.write_text(lines, encoding="utf-8")
    part.replace(FILE)
