"""Strict readers of environment variables: a wrong value is named, never guessed at."""

import json
import re
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

Environ = Mapping[str, str]

# As Django's own check of a deployment (security.W009) has it.
KEY_LENGTH, KEY_LETTERS = 50, 5
EXAMPLES = ("django-insecure-", "change", "example", "insecure")

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HOST = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
ORIGIN = re.compile(rf"https?://((\*\.)?{HOST}|\[[0-9a-f:]+\])(:\d+)?")

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


def boolean(environ: Environ, key: str) -> bool:
    value = environ.get(key, "").strip()
    if not value:
        return False
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
    """With DEBUG off, names of one's own: any name at all would let a stranger choose it.

    With DEBUG on, those of the trusted origins too: who trusts a tunnel wants its pages.
    """
    found = words(environ, "ALLOWED_HOSTS")
    if debug:
        named = [urlsplit(origin) for origin in trusted_origins(environ, debug)]
        # An empty list is Django's word for the loopback, with DEBUG on.
        known = found or list(LOOPBACK) if named else found
        return list(dict.fromkeys([*known, *(hosts_of(origin) for origin in named)]))
    if found and "*" not in found:
        return found
    state = "has * in it" if found else "is empty"
    raise ImproperlyConfigured(
        f"ALLOWED_HOSTS {state}: with DEBUG off it must list the host names of this site, "
        "such as example.org."
    )


def hosts_of(origin: SplitResult) -> str:
    """What ALLOWED_HOSTS has for an origin: `.example.org` for `https://*.example.org`."""
    return re.sub(r":\d+$", "", origin.netloc).removeprefix("*")


def trusted_origins(environ: Environ, debug: bool) -> list[str]:
    """CSRF_TRUSTED_ORIGINS and, with DEBUG on, those of a workspace in a cloud (Codespaces)."""
    found = [origin.lower() for origin in words(environ, "CSRF_TRUSTED_ORIGINS")]
    for origin in found:
        if not ORIGIN.fullmatch(origin):
            raise ImproperlyConfigured(
                f"CSRF_TRUSTED_ORIGINS has {origin!r}: an origin is a scheme and a host, "
                "such as https://shop.example.org, without a path."
            )
    return list(dict.fromkeys([*found, *(workspace_origins(environ) if debug else [])]))


def workspace_origins(environ: Environ) -> list[str]:
    """The origins that the page has in a workspace whose environment says where it is forwarded to.

    Codespaces rewrites Origin to one on localhost, with either scheme.
    """
    port = environ.get("WEB_PORT") or "8000"
    public = workspace_origin(environ, port).lower()
    if not ORIGIN.fullmatch(public):
        return []
    names = [f"{scheme}://{host}:{port}" for scheme in ("http", "https") for host in LOOPBACK[:2]]
    return [public, *names]


def workspace_origin(environ: Environ, port: str) -> str:
    if name := environ.get("CODESPACE_NAME"):
        domain = environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN") or "app.github.dev"
        return f"https://{name}-{port}.{domain}"
    if url := environ.get("GITPOD_WORKSPACE_URL"):
        return url.rstrip("/").replace("://", f"://{port}-", 1)
    # Coder, and code-server behind a domain: https://{{port}}--main--shop--ann.coder.example.org
    return environ.get("VSCODE_PROXY_URI", "").replace("{{port}}", port).rstrip("/")
