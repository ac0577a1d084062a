"""Strict readers of environment variables: a wrong value is named, never guessed at."""

import secrets
from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured

Environ = Mapping[str, str]

BOOLEANS = {
    "0": False,
    "1": True,
    "false": False,
    "true": True,
    "no": False,
    "yes": True,
    "off": False,
    "on": True,
}


def boolean(environ: Environ, key: str, default: bool = False) -> bool:
    value = environ.get(key, "").strip()
    if not value:
        return default
    try:
        return BOOLEANS[value.lower()]
    except KeyError:
        raise ImproperlyConfigured(
            f"{key} is {value!r}: it must be one of {', '.join(BOOLEANS)}."
        ) from None


def integer(environ: Environ, key: str, default: int, low: int, high: int) -> int:
    value = environ.get(key, "").strip()
    if not value:
        return default
    # isdecimal and isascii: int() would also take 5_432, +5432 and other scripts' digits.
    if value.isascii() and value.isdecimal() and low <= int(value) <= high:
        return int(value)
    raise ImproperlyConfigured(f"{key} is {value!r}: it must be a number from {low} to {high}.")


def words(environ: Environ, key: str) -> list[str]:
    """The parts of a comma-separated list; empty if there is none."""
    return [word.strip() for word in environ.get(key, "").split(",") if word.strip()]


def secret_key(environ: Environ, debug: bool) -> str:
    if value := environ.get("SECRET_KEY", ""):
        return value
    if debug:
        return secrets.token_urlsafe(50)
    raise ImproperlyConfigured(
        "SECRET_KEY is missing: with DEBUG off it must be set to a long random text."
    )
