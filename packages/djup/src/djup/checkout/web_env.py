"""What the development web gets: the keys of `.env` that have a value, but for those of production
and of the build, and what the project's own settings read besides (`[tool.djup]`)."""

import json
import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from djup import HERE, ROOT, SOURCES, STATE, own_or_ours
from djup.checkout import debugging, env_file
from djup.host import uploads
from djup.problems import problem
from djup.settings import database_url, dotenv, stages
from djup.settings.layout import Layout, layout
from djup.settings.settings import TRUE, Settings
from djup.terminal.task import this_task

OURS = SOURCES / "djup-web" / "compose.yaml"
FILE = STATE / "web.env"  # compose/dev.yaml names it
ADDED = STATE / "services.yaml"
WRITTEN = str(ADDED.relative_to(ROOT))
OF_CODE = ("worker", "schedule")  # djup's services that run the project's code, as the web does
NO_ENV = "/dev/null:/srv/project/.env:ro"
BASE = ("compose/db.yaml", "compose/web.yaml", "compose/dev.yaml")
PREFIXES = ("DEPLOY_", "BACKUP_")  # and those of production and its stages
OTHERS = {
    stages.KEY,
    *("STACK", "DOMAIN", "EMAIL", "TLS", "TLS_CERT", "TLS_KEY", "REGISTRY"),
    *("HTTP_PORT", "HTTPS_PORT", "MAX_BODY", "CADDY_IMAGE", "NETWORK_ENCRYPTED"),
    "TRUSTED_PROXIES",
    *("WEB_REPLICAS", "WEB_WORKERS", "WEB_THREADS", "WEB_MEMORY", "POOL_SIZE", "PGBOUNCER_IMAGE"),
    *("MAIL_IMAGE", "MAIL_PORT", "MAIL_PAGE_PORT"),  # of the service, not of who sends
    *("WORKER_REPLICAS", "WORKER_MEMORY", "SCHEDULE_MEMORY"),
    *("MEDIA", "MEDIA_ENDPOINT", "MEDIA_REGION", "MEDIA_ACCESS_KEY", "MEDIA_SECRET_KEY"),
    *("HEARTBEAT_URL", "NOTIFY_URL", "KEEPER_IMAGE", "RCLONE_IMAGE"),  # of scheduled backups
    *("ARCHIVE", "STANDBY", "EDGE"),
    "DEBUG_PORT",  # published by a compose file of its own
    *("PIP_INDEX_URL", "PIP_CERT"),  # of the build alone: a password may be in them
}
# How the compose files call those arguments whose names somebody else may use as well.
OF_COMPOSE = {"LOCKS": "DJUP_LOCKS", "PROJECT": "DJUP_PROJECT"}
NO_MEDIA = {"DJUP_MEDIA": "/dev/null"}  # in the place of the volume, where none is wanted
EMAIL = "EMAIL_URL"
BY_KEYS = "DJUP_DATABASE_BY_KEYS"
# What stands for a fact while the image is built, where it has to look like one.
BUILD_FACTS = {
    "DEBUG": "0",  # what only development installs is not there
    "DEBUG_WORD": "False",
    "ALLOWED_HOSTS": "localhost",
    "CSRF_TRUSTED_ORIGINS": "http://localhost",
    "DATABASE_URL": "postgres://build:build@localhost:5432/build",
    "SQL_PORT": "5432",
}


def without_production(
    values: Mapping[str, str], others: Collection[str] = OTHERS, deployed: tuple[str, ...] = ()
) -> dict[str, str]:
    """The variables less those that only a deploy or a build needs; `deployed` is what the keys of
    stages begin with."""
    of_all = {key: text for key, text in values.items() if not key.startswith(deployed)}
    return {key: text for key, text in of_all.items() if not is_of_production(key, others)}


def compose_environment(settings: Settings) -> dict[str, str]:
    """The environment of a `docker compose`; the file that it hands to the web is written first."""
    if not this_task.dry:
        _write(FILE, text(settings))
        _write(ADDED, additions())
        debugging.write(settings)
    arguments = build_arguments(settings.values)
    environment = settings.child_environment() | {
        OF_COMPOSE.get(name, name): value for name, value in arguments.items()
    }
    # A key of .env that the project's own settings read as well, and spell in another way.
    environment |= {k: v for k, v in _added(settings).items() if k in settings.values}
    environment |= {} if layout().media else NO_MEDIA
    separator = settings.values["COMPOSE_PATH_SEPARATOR"]
    if (joined := separator.join(compose_files(settings))) != settings.values["COMPOSE_FILE"]:
        environment["COMPOSE_FILE"] = joined
    return environment


def compose_files(settings: Settings) -> list[str]:
    """The compose files of the stack, from the root of the checkout: those of `.env`, one for each
    further service, the one that mounts the toolkit's sources where it is worked on, and what is
    added to each service that runs the project's code."""
    composed = settings.values["COMPOSE_FILE"].split(settings.values["COMPOSE_PATH_SEPARATOR"])
    known = {*composed}
    further = [file for file in (*service_files(), *of_sources()) if file not in known]
    after = max((n for n, file in enumerate(composed, 1) if file in BASE), default=len(composed))
    # Those that come last change the others: the user's own go on doing so.
    files = [*composed[:after], *further, *composed[after:]]
    return [*files, *([WRITTEN] if _additions() else []), *debugging.compose_files(settings)]


def service_files() -> list[str]:
    """The compose files of the services besides web and db: the project's own, or djup's."""
    return [_service_file(name) for name in layout().services]


def _service_file(name: str) -> str:
    path = own_or_ours(f"compose/{name}.yaml")
    if not path.exists():
        raise problem("RUN07", service=name)
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def of_sources() -> list[str]:
    """The compose file that mounts the toolkit's sources, where it is worked on; else none."""
    return [str(OURS.relative_to(ROOT))] if OURS.exists() else []


def additions() -> str:
    """The text of the compose file that the tasks write."""
    return json.dumps({"services": _additions()})


def _additions() -> dict[str, dict[str, object]]:
    """What is added to each service that runs the project's code; none where nothing is."""
    services = [name for name in OF_CODE if name in layout().services]
    added: dict[str, dict[str, object]] = {}
    if OURS.exists():  # for the web, a file of its own does so
        mount = f"{OURS.parent / 'src'}:/srv/djup-web"
        both = {"environment": {"PYTHONPATH": "/srv/djup-web"}, "volumes": [mount]}
        added = {name: dict(both) for name in services}
    if layout().folder == ROOT:
        # The secrets of production are in .env; settings that read it have its keys from the
        # environment.
        for name in ("web", *services):
            added.setdefault(name, {})["volumes"] = [NO_ENV]
    return added


def build_arguments(values: Mapping[str, str]) -> dict[str, str]:
    """The arguments of the Dockerfile, by their names."""
    here = layout()
    packages = (*here.system_packages, *values["SYSTEM_PACKAGES"].split())
    return {
        "PYTHON_IMAGE": values["PYTHON_IMAGE"],
        "SYSTEM_PACKAGES": " ".join(packages),
        "LOCKS": HERE,
        "PROJECT": here.project,
        "SETTINGS_MODULE": here.production_module,
        # Words of a shell: a value may have spaces and quotes.
        "BUILD_ENVIRONMENT": shlex.join(f"{k}={v}" for k, v in for_build(here).items()),
    }


def started_by_us(values: Mapping[str, str], module: str) -> dict[str, str]:
    """The variables that no `.env` has: that it is djup which starts the web, with which settings,
    and what `environment` of `[tool.djup]` names, filled from `values`."""
    named = {"DJANGO_SETTINGS_MODULE": module} if module else {}
    return {"DJUP": "1", **named, **mapped(values)}


def mapped(values: Mapping[str, str]) -> dict[str, str]:
    """What `environment` of `[tool.djup]` names, filled from `values`, the keys of an `.env`."""
    if not (wanted := layout().environment):
        return {}
    url = values.get("DATABASE_URL") or database_url.of(values)
    is_on = values["DEBUG"].strip().lower() in TRUE
    facts = {**values, "DATABASE_URL": url, "DEBUG_WORD": str(is_on)}
    ours = {name: facts[fact] for name, fact in wanted.items()}
    # Where they have a DATABASE_URL of this kind, the SQL_ keys go on to count for us.
    return {**ours, **({BY_KEYS: "1"} if not values.get("DATABASE_URL") else {})}


def for_build(here: Layout) -> dict[str, str]:
    """What the project's settings have to read while the image is built: nothing secret."""
    facts = {name: BUILD_FACTS.get(fact, "build") for name, fact in here.environment.items()}
    if "SQL_DATABASE" in facts:  # under our own names, which are looked at together
        facts["SQL_ENGINE"] = "django.db.backends.postgresql"
    return {**facts, **here.build_environment}


def is_of_production(key: str, others: Collection[str] = OTHERS) -> bool:
    """Whether only a deploy or a build needs a key of `.env`, whatever stages that names."""
    return key.startswith((stages.PREFIX, *PREFIXES)) or key in others


def text(settings: Settings) -> str:
    """The lines of `.env` as they are spelled, which every reader takes alike, and what is added to
    them; without comments, and without known keys that are empty."""
    if not env_file.ENV.exists():  # under --dry in a fresh clone
        return ""
    lines = env_file.ENV.read_text(encoding="utf-8-sig").splitlines()
    matched = [(match[1], line) for line in lines if (match := dotenv.LINE.fullmatch(line))]
    added = _added(settings)
    kept = [line for key, line in matched if key not in added and _is_handed_over(key, settings)]
    lines = [f"{key}={dotenv.quoted(text)}" for key, text in added.items()]
    return "".join(f"{line}\n" for line in (*kept, *lines))


def _added(settings: Settings) -> dict[str, str]:
    """What the web in its container gets besides the keys of `.env`, or in their stead."""
    values = {**settings.values, "SQL_HOST": settings.values["SQL_HOST"] or "db"}
    media = {"MEDIA_ROOT": uploads.MEDIA_ROOT} if layout().media else {}
    caught = "mail" in layout().services and not settings.values.get(EMAIL)
    mail = {EMAIL: "smtp://mail:1025"} if caught else {}
    return {**media, **mail, **started_by_us(values, layout().settings)}


def _is_handed_over(key: str, settings: Settings) -> bool:
    """Whether the web gets a key of `.env`: an empty one only where the user has added it."""
    of_stage = key.startswith(stages.prefixes(settings.values))
    return not (of_stage or is_empty(key, settings.values) or is_of_production(key))


def is_empty(key: str, values: Mapping[str, str]) -> bool:
    """Whether a key of `.env.example` has no value: to the web it is as if it were not there."""
    return not values.get(key) and key in dotenv.parse(env_file.example())


def _write(file: Path, lines: str) -> None:
    """Replace a file where it differs; readable by its owner alone, as `.env` is."""
    if file.exists() and file.read_text(encoding="utf-8") == lines:
        return
    STATE.mkdir(mode=0o700, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.touch(0o600)
    part.write_text(lines, encoding="utf-8")
    part.replace(file)
