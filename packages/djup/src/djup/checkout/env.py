"""The settings of this checkout: `.env` read, created where there is none, and checked."""

from collections.abc import Mapping
from pathlib import Path

from djup import IS_ADOPTED, ROOT
from djup.checkout import env_file
from djup.host import ownership
from djup.problems import Problem, problem
from djup.settings import database_url, dotenv, stages
from djup.settings.settings import Settings, check, check_runtime
from djup.terminal import console
from djup.terminal.task import this_task

# One of these is in each `.env` that a task has written; without them it is a project's own.
OURS = frozenset(("COMPOSE_PROJECT_NAME", "CHECKOUT", "APP_UID"))


def load() -> Settings:
    """The settings of this checkout; makes `.env` where there is none (not under --dry).

    A problem if `.env` is another checkout's, from which it was copied.
    """
    settings = load_any()
    if folder := original(settings):
        raise problem("ENV09", folder=str(folder), project=settings.project)
    return settings


def load_any(runtime: str = "", port: str = "") -> Settings:
    """Give the settings of `.env`, even of another checkout's; without one, create it for this
    `runtime` and `port`."""
    ownership.refuse_closed()
    if runtime:
        check_runtime(runtime)
    text = env_file.read(env_file.ENV) if env_file.ENV.exists() else ""
    is_theirs = IS_ADOPTED and bool(text.strip()) and OURS.isdisjoint(dotenv.parse(text))
    if env_file.ENV.exists() and not is_theirs:
        return settings_from(text)
    from djup.checkout import create  # a tenth of each task's start, and needed once

    return settings_from(create.make(runtime, port, text))


def original(settings: Settings) -> Path | None:
    """The checkout that `.env` was copied from: the one it was made for, if that still has it."""
    folder = Path(settings.values["CHECKOUT"])
    if not folder.is_absolute() or folder == ROOT or not (folder / ".env").exists():
        return None
    try:
        theirs = dotenv.parse(env_file.read(folder / ".env"))
    except Problem:  # whatever is wrong with it there, it is there
        return folder
    return folder if theirs.get("COMPOSE_PROJECT_NAME") == settings.project else None


def known_keys() -> list[str]:
    """The keys of `.env.example`."""
    return list(dotenv.parse(env_file.example()))


def missing_keys() -> list[str]:
    """List the keys of `.env.example` that `.env` lacks."""
    present = dotenv.parse(env_file.read(env_file.ENV)) if env_file.ENV.exists() else {}
    return [key for key in known_keys() if present and key not in present]


def last_known_stages() -> list[str]:
    """What --env takes, by `.env` or else `.env.example`; none where neither can be read."""
    try:
        files = (env_file.EXAMPLE, *([env_file.ENV] if env_file.ENV.exists() else []))
        named = [stages.names(dotenv.parse(env_file.read(file))) for file in files]
    except Problem:
        return []
    return [stages.PRODUCTION, *next((one for one in reversed(named) if one), [])]


def settings_from(text: str) -> Settings:
    """`text` as an `.env` of this checkout: checked, with the defaults of `.env.example`."""
    own = dotenv.parse(text)
    defaults = dotenv.parse(env_file.example())
    values = own | {key: own.get(key) or default for key, default in defaults.items()}
    values |= _by_url(values)
    given = frozenset(key for key in own if own[key] == values[key])
    settings = Settings(values, given)
    check(settings)
    stages.check(values, defaults)
    return settings


def _by_url(values: Mapping[str, str]) -> dict[str, str]:
    """What DATABASE_URL says, if it is set; a key of `.env` that says otherwise is a problem."""
    by_url = database_url.values(values["DATABASE_URL"]) if values["DATABASE_URL"] else {}
    for key in ("SQL_HOST", "SQL_SSLMODE", "SQL_SSLROOTCERT"):  # those that are empty by default
        if values[key] and by_url.get(key, values[key]) != values[key]:
            raise problem("ENV06", key=key, allowed="empty, or what DATABASE_URL says")
    return by_url


def write(settings: Settings, why: str, values: Mapping[str, str]) -> Settings:
    """Write these values into `.env`, and say so with the reason; the settings with them."""
    changed = settings.with_values(values)
    words = ", ".join(f"{key}={value}" for key, value in values.items())
    if this_task.dry:
        console.say(f"{why}: .env would have {words}")
        return changed
    env_file.write_values({key: dotenv.quoted(value) for key, value in values.items()})
    console.say(f"{why}: .env now has {words}")
    return load()
