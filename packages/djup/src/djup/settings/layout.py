"""`[tool.djup]` of pyproject.toml: what differs between repositories, committed with each of them.

The defaults are the starter's layout, so a new project has no such table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from djup import IS_ADOPTED, ROOT
from djup.problems import problem

if TYPE_CHECKING:
    from djup.problems import Problem

FILE = ROOT / "pyproject.toml"
TABLE = "tool.djup"
MODULE = re.compile(r"""DJANGO_SETTINGS_MODULE["']\]?\s*[,=]\s*["']([\w.]+)["']""")
SERVICE = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
DJANGO, PYTEST = "django", "pytest"


@dataclass(frozen=True)
class Layout:
    """The keys of `[tool.djup]`, each with what it means; the reference is made of these."""

    project: str = "project"
    """The folder that contains `manage.py`."""
    settings: str = ""
    """The settings module of development. Default: the one that `manage.py` names."""
    production_settings: str = ""
    """The settings module of production. Default: the one of development."""
    requirements: tuple[str, ...] = ()
    """What the image installs: requirements files, `pyproject.toml`, `pyproject.toml[EXTRA]`,
    `pyproject.toml:GROUP`, `uv.lock`, `poetry.lock` or `Pipfile.lock`."""
    dev_requirements: tuple[str, ...] = ()
    """What only development and the tests install. `uv.lock:dev` means all groups and extras."""
    python: str = ""
    """The oldest Python that the locks have to support. Default: `3.11`."""
    system_packages: tuple[str, ...] = ()
    """System packages for the image, by their names in apt or apk."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that your settings read, and the value that fills each of them."""
    build_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for linters, for tests, and for `collectstatic` while the image is built. Never
    put a secret here."""
    test: str | tuple[str, ...] = ""
    """What `inv test` runs. Default: `pytest` if the locks contain pytest-django, else
    `django`."""
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further test commands by name. `inv test --suite NAME` runs one of them."""
    media: bool = not IS_ADOPTED
    """Whether uploads go to a folder outside of the source tree, which the data tasks know.
    Default: `true`, but `false` in a project that was adopted."""
    services: tuple[str, ...] = ()
    """The services besides `web` and `db`: djup's (`worker`, `schedule`, `mail`), and your own.
    `inv service.add` writes this key."""

    @property
    def folder(self) -> Path:
        """The folder of manage.py."""
        return ROOT / self.project

    @property
    def prefix(self) -> str:
        """What a path within that folder begins with, from the root: `project/`, or nothing."""
        return "" if self.project == "." else f"{self.project}/"

    @property
    def settings_module(self) -> str:
        """The settings module of development."""
        return self.settings or _named_by(self.folder / "manage.py")

    @property
    def production_module(self) -> str:
        """The settings module of production."""
        return self.production_settings or self.settings_module


# The sources of `environment`, and what each fills a variable with.
FACTS = {
    **dict.fromkeys(("SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"), "the key of `.env`"),
    "DEBUG": "`DEBUG` of `.env`, as `1` or `0`",
    "DEBUG_WORD": "`DEBUG` of `.env`, as `True` or `False`",
    "DATABASE_URL": "the key of `.env`, or a URL made from its `SQL_` keys",
    **dict.fromkeys(("SQL_DATABASE", "SQL_USER", "SQL_PASSWORD"), "the key of `.env`"),
    "SQL_HOST": "the host of the database, from where the web runs",
    "SQL_PORT": "the port of the database, from where the web runs",
}


@cache
def layout() -> Layout:
    """The layout of this checkout, or the problem of a key that is wrong."""
    try:
        text = FILE.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Layout()
    return parse(text) if f"[{TABLE}" in text else Layout()


def parse(text: str) -> Layout:
    """The layout that a pyproject.toml with this text has."""
    import tomllib  # slow to load, and the starter has no such table

    try:
        found = tomllib.loads(text)["tool"]["djup"]
    except tomllib.TOMLDecodeError as error:
        raise problem("ENV20", key="pyproject.toml", allowed=f"TOML: {error}") from None
    known = {one.name.replace("_", "-"): one.name for one in fields(Layout)}
    values: dict[str, Any] = {}  # each of the type that its field has
    for key, value in found.items():
        if key not in known:
            raise _wrong(key, f"one of {', '.join(known)}")
        values[known[key]] = _checked(key, value)
    return Layout(**values)


def allowed(key: str) -> str:
    """The values that a key of the table may have, in words."""
    return _KINDS.get(key, _TEXT)[0]


def _checked(key: str, value: object) -> object:
    """A value of the table in the type that the layout has it in."""
    _, read = _KINDS.get(key, _TEXT)
    if (result := read(value)) is None:
        raise _wrong(key, allowed(key))
    strangers = set(result.values()) - set(FACTS) if isinstance(result, dict) else set()
    if key == "environment" and strangers:
        raise _wrong(f"{key} ({min(strangers)})", f"one of {', '.join(FACTS)}")
    return result


def _wrong(key: str, allowed: str) -> "Problem":
    return problem("ENV20", key=f"{key} in [{TABLE}] of pyproject.toml", allowed=allowed)


def _text(value: object) -> object:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> object:
    is_list = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
    return tuple(value) if is_list and isinstance(value, list) else None


def _names(value: object) -> object:
    names = _texts(value)
    if not isinstance(names, tuple) or len(set(names)) < len(names):
        return None
    return names if all(is_service_name(name) for name in names) else None


def is_service_name(name: str) -> bool:
    """Whether a service of a project may have this name: `compose/NAME.yaml` is its file."""
    return bool(SERVICE.fullmatch(name)) and name not in ("web", "db", "dev", "prod", "local")


def _table(read: Callable[[object], object]) -> Callable[[object], object]:
    def table(value: object) -> object:
        if not isinstance(value, dict):
            return None
        values = {key: read(one) for key, one in value.items()}
        return None if None in values.values() else values

    return table


def _string(value: object) -> object:
    return value if isinstance(value, str) else None


def _boolean(value: object) -> object:
    return value if isinstance(value, bool) else None


def _version(value: object) -> object:
    return value if isinstance(value, str) and re.fullmatch(r"3\.\d+", value) else None


def _command(value: object) -> object:
    return value if value in (DJANGO, PYTEST) else _texts(value)


_TEXT = ("a string that is not empty", _text)
_KINDS: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "requirements": ('a list of strings, such as ["requirements.txt"]', _texts),
    "dev-requirements": ('a list of strings, such as ["requirements-dev.txt"]', _texts),
    "system-packages": ('a list of strings, such as ["gcc", "libc6-dev"]', _texts),
    "python": ('a version such as "3.13"', _version),
    "environment": ("a table of strings", _table(_text)),
    "build-environment": ("a table of strings", _table(_string)),
    "test": (f'"{DJANGO}", "{PYTEST}", or a command as a list of strings', _command),
    "media": ("true or false", _boolean),
    "services": ('a list of different names, such as ["worker", "mail"]', _names),
    "suites": ("a table of commands, each a list of strings", _table(_texts)),
}


def _named_by(manage: Path) -> str:
    """The settings module that a manage.py names; '' if none can be read there."""
    try:
        match = MODULE.search(manage.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return match[1] if match else ""
