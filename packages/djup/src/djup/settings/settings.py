"""What `.env` says, as data: every key has a value, and each value has been checked."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from djup.problems import problem
from djup.settings import database_url, stages, typos
from djup.settings.layout import layout

TRUE = ("1", "true", "yes", "on")
BOOLEANS = ("0", "1", "true", "false", "yes", "no", "on", "off")
REQUIRED = ("COMPOSE_PROJECT_NAME", "SECRET_KEY", "SQL_PASSWORD")
RUNTIMES = ("docker", "embedded")
# https://www.postgresql.org/docs/current/libpq-ssl.html
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
CHECKING = SSLMODES[3:]  # those that look at SQL_SSLROOTCERT
SYSTEM_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.:=~_-]*")  # of apk or apt, with a version
HOST = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
ORIGIN = re.compile(rf"https?://((\*\.)?{HOST}|\[[0-9a-f:]+\])(:\d+)?")  # as djup_web/env.py
LONGEST_NAME = 63  # bytes, in PostgreSQL
TEMPLATES = ("template0", "template1")  # each new database is a copy of one of them
NO_USERS = ("public", "none")
SYSTEM = "system"  # libpq's word for the authorities that the system trusts
LONGEST = 128 * 1024  # bytes of a variable with its name, in Linux (MAX_ARG_STRLEN)


@dataclass(frozen=True)
class Settings:
    """The values of `.env`, defaults filled in; `own` are the keys with a value of their own.

    Where DATABASE_URL is set, the SQL_ keys have what it says. A `stage` is what a task deploys, or
    asks about, in production's stead.
    """

    values: Mapping[str, str]
    own: frozenset[str]
    stage: str = ""

    @property
    def prefix(self) -> str:
        """What the keys of production, or of the stage, begin with."""
        return stages.prefix(self.stage)

    @property
    def runtime(self) -> str:
        """`docker` or `embedded`."""
        return self.values["RUNTIME"]

    @property
    def in_containers(self) -> bool:
        """Whether the services are containers, rather than processes of this machine."""
        return self.runtime == "docker"

    @property
    def project(self) -> str:
        """The name of the stack's containers and volumes."""
        return self.values["COMPOSE_PROJECT_NAME"]

    @property
    def web_port(self) -> int:
        """The port of the page on 127.0.0.1."""
        return int(self.values["WEB_PORT"])

    @property
    def url(self) -> str:
        """Where the page is served in development."""
        return f"http://127.0.0.1:{self.web_port}/"

    @property
    def debug(self) -> bool:
        """Whether Django shows its debug pages."""
        return self.values["DEBUG"].strip().lower() in TRUE

    def allows(self, host: str) -> bool:
        """Whether Django serves pages under this name; with none in ALLOWED_HOSTS, a debugging one
        serves this machine."""
        allowed = _words(self.values["ALLOWED_HOSTS"])
        return not {host, "*"}.isdisjoint(allowed) or not allowed

    @property
    def has_own_database(self) -> bool:
        """Whether the stack runs PostgreSQL itself, rather than using one elsewhere."""
        return not self.values["SQL_HOST"]

    @property
    def address(self) -> str:
        """`HOST port PORT` of a database elsewhere; '' where the stack runs its own."""
        values = self.values
        return "" if self.has_own_database else f"{values['SQL_HOST']} port {values['SQL_PORT']}"

    @property
    def ca_file(self) -> Path | None:
        """The certificates that a database elsewhere is checked by, if they are in a file."""
        name = self.values["SQL_SSLROOTCERT"]
        return None if name in ("", SYSTEM) else layout().folder / name

    def with_values(self, values: Mapping[str, str]) -> "Settings":
        """As they would be with these values in `.env`, checked."""
        changed = replace(self, values={**self.values, **values}, own=self.own | values.keys())
        check(changed)
        return changed

    def lending(self, values: Mapping[str, str]) -> "Settings":
        """With these values for as long as a task takes; `.env` keeps its own."""
        return replace(self, values={**self.values, **values}, own=self.own - values.keys())

    def child_environment(self) -> dict[str, str]:
        """Our environment, in which `.env` wins: its keys are left for the child to read there,
        those that have no value there get their defaults."""
        inherited = {k: v for k, v in os.environ.items() if k not in self.values}
        for switch in ("COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE", "COMPOSE_PROFILES"):
            inherited.pop(switch, None)
        return inherited | {k: v for k, v in self.values.items() if k not in self.own}


def check_runtime(name: str) -> None:
    """Raise unless there is a runtime of this name."""
    if name not in RUNTIMES:
        raise problem("ENV08", name=repr(name), known=", ".join(RUNTIMES))


def check(settings: Settings) -> None:
    """Raise for the first value that something would refuse later, or take for another."""
    _check_required(settings)
    check_runtime(settings.runtime)
    _check_project(settings)
    _check_ports(settings)
    _check_debug(settings)
    _check_names(settings)
    _check_lengths(settings)
    for key in ("APP_UID", "APP_GID"):
        check_number(settings.values, key, 0, 2**31)
    _check_packages(settings)
    check_hosts(settings.values)
    check_tls(settings.values)


def _check_required(settings: Settings) -> None:
    for key in REQUIRED:
        if not settings.values[key]:
            slips = typos.find(settings.own, REQUIRED)
            if like := next((k for k in slips if slips[k] == key), ""):
                raise problem("ENV05.mistyped", key=key, like=like)
            raise problem("ENV05", key=key)


def _check_project(settings: Settings) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", settings.project):
        allowed = "a-z, 0-9, _ and -, not starting with _ or -"
        raise problem("ENV06", key="COMPOSE_PROJECT_NAME", allowed=allowed)


def _check_ports(settings: Settings) -> None:
    for key in ("WEB_PORT", "SQL_PORT", "MAIL_PORT", "MAIL_PAGE_PORT"):
        check_number(settings.values, key, 1, 65535)
    if settings.has_own_database and settings.values["SQL_PORT"] != "5432":
        raise problem("ENV06", key="SQL_PORT", allowed="5432 while SQL_HOST is empty")


def _check_debug(settings: Settings) -> None:
    if settings.values["DEBUG"].strip().lower() not in BOOLEANS:
        raise problem("ENV06", key="DEBUG", allowed=f"one of {', '.join(BOOLEANS)}")


def _check_packages(settings: Settings) -> None:
    for name in settings.values["SYSTEM_PACKAGES"].split():
        if not SYSTEM_PACKAGE.fullmatch(name):
            allowed = "names of packages, separated by spaces"
            raise problem("ENV06", key="SYSTEM_PACKAGES", allowed=allowed)


def _check_lengths(settings: Settings) -> None:
    """What runs in development has each key in its environment, but those of production and of
    stages alone."""
    deployed = stages.prefixes(settings.values)
    for key, value in settings.values.items():
        size = len(f"{key}={value}".encode())
        if size >= LONGEST and not key.startswith(deployed):
            raise problem("ENV19", key=key, size=f"{size:,}", longest=f"{LONGEST:,}")


def _check_names(settings: Settings) -> None:
    """What PostgreSQL would refuse later, shorten silently, or copy into each new database."""
    for key in ("SQL_DATABASE", "SQL_USER"):
        if len(settings.values[key].encode()) > LONGEST_NAME:
            raise problem("ENV06", key=key, allowed=f"at most {LONGEST_NAME} bytes long")
    if settings.values["SQL_DATABASE"] in TEMPLATES:
        raise problem(
            "ENV06", key="SQL_DATABASE", allowed=f"a name other than {', '.join(TEMPLATES)}"
        )
    user = settings.values["SQL_USER"]
    if settings.has_own_database and (user.startswith("pg_") or user in NO_USERS):
        raise problem("ENV06", key="SQL_USER", allowed="a name that PostgreSQL does not reserve")


def check_tls(values: Mapping[str, str], prefix: str = "") -> None:
    """libpq itself would take some of these for a connection that nobody checks."""
    mode, root = values["SQL_SSLMODE"], values["SQL_SSLROOTCERT"]

    def refuse(key: str, allowed: str) -> NoReturn:
        in_url = f"{database_url.TLS[key]} in {prefix}DATABASE_URL"
        by_url = values["DATABASE_URL"] and f" (or {in_url})"
        raise problem("ENV06", key=f"{prefix}{key}{by_url}", allowed=allowed)

    for key in database_url.TLS:
        if values[key] and not values["SQL_HOST"]:
            raise problem("ENV06", key=f"{prefix}{key}", allowed=f"empty while {prefix}SQL_HOST is")
    if mode and mode not in SSLMODES:
        refuse("SQL_SSLMODE", f"one of {', '.join(SSLMODES)}")
    if root and mode not in (CHECKING[-1:] if root == SYSTEM else CHECKING):
        refuse("SQL_SSLMODE", f"verify-full while {prefix}SQL_SSLROOTCERT is set")
    if mode in CHECKING[1:] and not root:
        refuse("SQL_SSLROOTCERT", f"set while {prefix}SQL_SSLMODE is {mode}")
    if Path(root).is_absolute() or ".." in Path(root).parts:
        refuse("SQL_SSLROOTCERT", f"the path of a file within {layout().prefix or 'this folder'}")


def check_hosts(values: Mapping[str, str], prefix: str = "") -> None:
    """Django refuses some of these, and takes others for what no browser ever sends."""
    for origin in _words(values["CSRF_TRUSTED_ORIGINS"]):
        if not ORIGIN.fullmatch(origin.lower()):
            allowed = (
                "origins such as https://shop.example.org, without a path, separated by commas"
            )
            raise problem("ENV06", key=f"{prefix}CSRF_TRUSTED_ORIGINS", allowed=allowed)
    for host in _words(values["ALLOWED_HOSTS"]):
        if "/" in host or (":" in host and not host.startswith("[")) or "]:" in host:
            allowed = "names of hosts, without https:// and without a port, separated by commas"
            raise problem("ENV06", key="ALLOWED_HOSTS", allowed=allowed)


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def check_number(values: Mapping[str, str], key: str, low: int, high: int) -> None:
    """Raise unless the value of `key` is a whole number within these bounds."""
    value = values[key]
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise problem("ENV06", key=key, allowed=f"a number from {low} to {high}")
