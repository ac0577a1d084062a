"""Whether what runs is what the files say: hashes, and the note that a good `up` leaves behind."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from djup import HERE, ROOT, STATE
from djup.checkout import debugging, web_env
from djup.settings.layout import layout
from djup.settings.settings import Settings

# Of djup_web what is not mounted over what the image has, where one works on it.
PROGRAMS = "packages/djup-web/src/djup_web/image"
IMAGE_FILES = (
    *("compose/web", "compose/dev.yaml", PROGRAMS),
    *(f"{HERE}/{name}" for name in ("base.txt", "dev.txt", "build.txt", "wheels")),
)
ARGUMENTS = ("PYTHON_IMAGE", "SYSTEM_PACKAGES")  # that the development image depends on
NOTE = STATE / "up.json"


def image_inputs(settings: Settings) -> str:
    """A hash of all that the web image is built from, as in its label build.inputs."""
    arguments = web_env.build_arguments(settings.values)
    return _hash(_files(IMAGE_FILES), *(arguments[key] for key in ARGUMENTS))


def stack_inputs(settings: Settings, image: str) -> str:
    """A hash of all that the containers are made from: `.env` without what is production's, compose
    files, image."""
    env = settings.child_environment()
    missing = {key: env[key] for key in settings.values if key not in settings.own}
    defaults = web_env.without_production(missing)
    here = layout()
    said = (web_env.text(settings), json.dumps(defaults), here.project, str(here.media))
    # What a task is going to write is hashed as it will be.
    files = [file for file in web_env.compose_files(settings) if file != web_env.WRITTEN]
    return _hash(_files(files), *said, web_env.additions(), image)


def embedded_inputs(settings: Settings) -> str:
    """A hash of all that the embedded runtime's processes are started from: `.env` without what is
    production's, packages."""
    locks = (f"{HERE}/embedded.txt", f"{HERE}/dev.txt")
    debug = json.dumps(debugging.environment(settings))
    return _hash(_files(locks), web_env.text(settings), debug)


def remember(inputs: str, configs: Mapping[str, str]) -> None:
    """Note that these inputs made containers with these config hashes (one for each service)."""
    part = NOTE.with_suffix(".part")
    part.write_text(json.dumps({"inputs": inputs, "configs": dict(configs)}))
    part.replace(NOTE)


def remembered() -> set[str]:
    """The services that the last good `up` has started."""
    try:
        return set(json.loads(NOTE.read_text())["configs"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def is_current(inputs: str, configs: Mapping[str, str]) -> bool:
    """Whether containers with these config hashes are what these inputs made at the last `up`."""
    try:
        return bool(json.loads(NOTE.read_text()) == {"inputs": inputs, "configs": dict(configs)})
    except (OSError, ValueError):
        return False


def _files(names: Iterable[str]) -> list[Path]:
    paths = (ROOT / name for name in names)
    found = (sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths)
    return [file for files in found for file in files if file.parent.name != "__pycache__"]


def _hash(files: Iterable[Path], *values: str) -> str:
    digest = hashlib.sha256()
    for part in (*(f.read_bytes() for f in files if f.is_file()), *(v.encode() for v in values)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
