"""Strict readers of environment variables: a wrong value is named, never guessed at."""

import json
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

Environ = Mapping[str, str]

# As Django's own check of a deployment (security.W009) has it.
KEY_LENGTH, KEY_LETTERS = 50, 5
EXAMPLES = ("django-insecure-", "change", "example", "insecure")

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


def secret(environ: Environ, key: str) -> str:
    """The value of `key`, or the text of the file that `key`_FILE names; '' if neither is set."""
    value, name = environ.get(key, ""), environ.get(f"{key}_FILE", "")
    if value and name:
        raise ImproperlyConfigured(f"{key} and {key}_FILE are both set: keep one of them.")
    return content(f"{key}_FILE", name).rstrip("\r\n") if name else value


def content(key: str, name: str) -> str:
    """The text of the file `name`, which `key` names, with something in it."""
    try:
        text = Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ImproperlyConfigured(f"{key} names {name}, which cannot be read: {why}.") from None
    if not text.strip():
        raise ImproperlyConfigured(f"{key} names {name}, which is empty.")
    return text


def add_file(environ: MutableMapping[str, str]) -> None:
    """Add the keys of SETTINGS_FILE, a JSON object of strings; those that are set stay."""
    if not (name := environ.get("SETTINGS_FILE", "")):
        return
    text = content("SETTINGS_FILE", name)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ImproperlyConfigured(
            f"SETTINGS_FILE names {name}, which must hold one JSON object of strings."
        )
    for key, value in found.items():
        environ.setdefault(key, value)


def secret_key(environ: Environ, debug: bool) -> str:
    if value := secret(environ, "SECRET_KEY"):
        return value if debug else strong("SECRET_KEY", value)
    if debug:
        return secrets.token_urlsafe(50)
    raise ImproperlyConfigured(
        "SECRET_KEY is missing: with DEBUG off it must be set to a long random text."
    )


def secret_key_fallbacks(environ: Environ, debug: bool) -> list[str]:
    """Former keys, whose sessions stay valid."""
    found = words(environ, "SECRET_KEY_FALLBACKS")
    return found if debug else [strong("SECRET_KEY_FALLBACKS", value) for value in found]


def strong(key: str, value: str) -> str:
    """`value`, if nobody guesses it; it is not shown otherwise."""
    if value.lower().startswith(EXAMPLES):
        raise ImproperlyConfigured(
            f"{key} is an example: with DEBUG off it must be a long random text of your own."
        )
    if len(value) < KEY_LENGTH or len(set(value)) < KEY_LETTERS:
        raise ImproperlyConfigured(
            f"{key} is too weak: with DEBUG off it must have at least {KEY_LENGTH} characters, "
            f"and {KEY_LETTERS} different ones."
        )
    return value


def allowed_hosts(environ: Environ, debug: bool) -> list[str]:
    """With DEBUG off, names of one's own: any name at all would let a stranger choose it."""
    found = words(environ, "ALLOWED_HOSTS")
    if debug or (found and "*" not in found):
        return found
    state = "has * in it" if found else "is empty"
    raise ImproperlyConfigured(
        f"ALLOWED_HOSTS {state}: with DEBUG off it must name the hosts that this site is, "
        "such as example.org."
    )
