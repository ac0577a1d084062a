"""The settings of mail, from EMAIL_URL, DEFAULT_FROM_EMAIL, SERVER_EMAIL and ADMINS.

Read here, not by a package: dj-email-url takes any option, ends with a KeyError or a ValueError
that shows a part of the password, and has had no release since 2022.
"""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import django
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from .env import Environ, words

KEY = "EMAIL_URL"
BACKENDS = "django.core.mail.backends"
SMTP = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
OTHERS = {
    "consolemail": "console",
    "filemail": "filebased",
    "memorymail": "locmem",
    "dummymail": "dummy",
}
# Without one, a server that does not answer would hold each thread that sends a mail.
SECONDS = 10
# The names that Django's backends have for these settings, from 6.1 on.
OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
    "EMAIL_TIMEOUT": "timeout",
    "EMAIL_FILE_PATH": "file_path",
}
UNREADABLE = (
    f"{KEY} cannot be read: it is smtp+tls://USER:PASSWORD@HOST:PORT, optionally with ?timeout=10; "
    "encode special characters in its parts as %XX (@ as %40)."
)  # none of its text is shown: it may be a part of the password


def mail(environ: Environ, production: bool) -> dict[str, Any]:
    """Django's settings of mail; the server's only where they are known.

    Outside of production an empty EMAIL_URL means the log: development sends nothing out.
    """
    url = environ.get(KEY, "").strip() or ("" if production else "consolemail://")
    found = server(url) if url else {}
    return {**addresses(environ), **(mailers(found) if django.VERSION >= (6, 1) else found)}


def addresses(environ: Environ) -> dict[str, Any]:
    """Whom mails come from, and who gets those about errors, as far as that is set."""
    sender = address(environ, "DEFAULT_FROM_EMAIL")
    server = address(environ, "SERVER_EMAIL") or sender
    admins = [checked("ADMINS", word) for word in words(environ, "ADMINS")]
    found = {"DEFAULT_FROM_EMAIL": sender, "SERVER_EMAIL": server, "ADMINS": named(admins)}
    return {key: value for key, value in found.items() if value}


def named(admins: list[str]) -> list[Any]:
    """ADMINS as this Django has it: pairs of a name and an address before 6.0."""
    return admins if django.VERSION >= (6, 0) else [(address, address) for address in admins]


def address(environ: Environ, key: str) -> str:
    """The address in `key`, such as `shop@example.org` or `Shop <shop@example.org>`; or ''."""
    value = environ.get(key, "").strip()
    return checked(key, value) if value else ""


def checked(key: str, value: str) -> str:
    """`value`, if mail can be sent from or to it."""
    try:
        validate_email(parseaddr(value)[1])
    except ValidationError:
        raise ImproperlyConfigured(
            f"{key} has {value!r}: an address is shop@example.org, or Shop <shop@example.org>."
        ) from None
    return value


def server(url: str) -> dict[str, Any]:
    """The EMAIL_ settings of a URL, or ImproperlyConfigured, which shows nothing of it."""
    scheme, separator, rest = url.partition("://")
    if scheme == "smtps":
        raise ImproperlyConfigured(
            f"{KEY} begins with smtps://, which programs read in two ways: write smtp+ssl:// for "
            "TLS from the first byte (port 465), or smtp+tls:// for STARTTLS (port 587)."
        )
    if not separator or scheme not in (*SMTP, *OTHERS):
        names = ", ".join(f"{name}://" for name in (*SMTP, *OTHERS))
        raise ImproperlyConfigured(f"{KEY} must begin with one of {names}.")
    return by_smtp(url, scheme) if scheme in SMTP else elsewhere(scheme, unquote(rest))


def elsewhere(scheme: str, rest: str) -> dict[str, Any]:
    """A backend that sends nothing; `filemail://` is followed by the path of a folder."""
    path = {"EMAIL_FILE_PATH": rest} if scheme == "filemail" else {}
    if path and not rest.startswith("/"):
        raise ImproperlyConfigured(f"{KEY} must name an absolute path, as filemail:///var/mail.")
    if rest and not path:
        raise ImproperlyConfigured(f"{KEY} must end with {scheme}://.")
    return {"EMAIL_BACKEND": f"{BACKENDS}.{OTHERS[scheme]}.EmailBackend", **path}


def by_smtp(url: str, scheme: str) -> dict[str, Any]:
    """The settings of an SMTP server."""
    parts = split(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ImproperlyConfigured(f"{KEY} must have a user and a password, or neither.")
    return {
        "EMAIL_BACKEND": f"{BACKENDS}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or SMTP[scheme],
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": scheme == "smtp+tls",
        "EMAIL_USE_SSL": scheme == "smtp+ssl",
        "EMAIL_TIMEOUT": seconds(parts.query),
    }


def split(url: str) -> SplitResult:
    """The parts of a URL that has nothing besides a server and options."""
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        is_whole = False
    if not is_whole or "#" in url or any(letter.isspace() for letter in url):
        raise ImproperlyConfigured(UNREADABLE)
    return parts


def seconds(query: str) -> int:
    """The option `timeout`, which is the only one."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    timeout = options.pop("timeout", str(SECONDS))
    if options or not (timeout.isascii() and timeout.isdecimal() and 0 < int(timeout) < 3600):
        raise ImproperlyConfigured(UNREADABLE)
    return int(timeout)


def mailers(found: dict[str, Any]) -> dict[str, Any]:
    """The EMAIL_ settings as Django 6.1 has them."""
    if not found:
        return {}
    options = {OPTIONS[key]: value for key, value in found.items() if key in OPTIONS}
    return {"MAILERS": {"default": {"BACKEND": found["EMAIL_BACKEND"], "OPTIONS": options}}}


def adopt(settings: Mapping[str, Any], environ: Environ) -> dict[str, Any]:
    """What goes over the settings of a project that has its own; nothing without EMAIL_URL.

    One that reads a URL of another kind itself keeps what it made of it.
    """
    if not (url := environ.get(KEY, "").strip()):
        return {}
    try:
        found = server(url)
    except ImproperlyConfigured:
        if settings.keys() & {"MAILERS", "EMAIL_HOST", "EMAIL_BACKEND"}:
            return {}
        raise
    has_mailers = "MAILERS" in settings
    mails = {**settings["MAILERS"], **mailers(found)["MAILERS"]} if has_mailers else {}
    return {**addresses(environ), **({"MAILERS": mails} if has_mailers else found)}
