"""Errors to Sentry, or to another receiver of its protocol, where SENTRY_DSN is set.

A settings module calls `error_reports.install(environ, DEBUG)`, so that every process of the
project reports: web, worker, schedule and commands. The package sentry-sdk is the project's to add.
"""

import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from djup_web import env, request_id
from djup_web.masking import MASK, masked

SHORTEST = 8  # a secret that is shorter may be part of a common word
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS")  # in the name of a variable
IN_FILES = ("SECRET_KEY", "SQL_PASSWORD")  # where production has them
# What PostgreSQL adds to its reason: the values of a row.
DETAIL = re.compile(r"\nDETAIL: .*", re.S)
# No bodies of requests, no variables of frames: persons are in both. Errors alone, no sessions.
PRIVATE = {
    "send_default_pii": False,
    "include_local_variables": False,
    "max_request_body_size": "never",
    "auto_session_tracking": False,
}


def install(environ: env.Environ, debug: bool, **options: Any) -> None:
    """Send errors where SENTRY_DSN says; nothing is done without one.

    `options` are further ones of `sentry_sdk.init`, or others than `PRIVATE`.
    """
    if not (dsn := env.secret(environ, "SENTRY_DSN")):
        return
    try:
        import sentry_sdk
    except ImportError:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, and the package sentry-sdk is not installed: add it to base.in, "
            "then run: inv lock"
        ) from None
    hidden = secrets(environ)
    given: dict[str, Any] = {
        "dsn": dsn,
        "release": release(environ.get("WEB_IMAGE", "")) or None,
        "environment": environment(environ, debug),
        "before_send": lambda event, hint: cleaned(event, hidden),
        **PRIVATE,
        **options,
    }
    sentry_sdk.init(**given)
    if stack := environ.get("STACK"):
        sentry_sdk.set_tag("stack", stack)


def release(image: str) -> str:
    """The name and the tag of an image: `shop-web@3f9c…`, for a release may have no slash."""
    return image.rpartition("/")[2].replace(":", "@")


def environment(environ: env.Environ, debug: bool) -> str:
    """SENTRY_ENVIRONMENT, else what DEBUG and PRODUCTION say."""
    production = env.boolean(environ, "PRODUCTION") and not debug
    return environ.get("SENTRY_ENVIRONMENT") or ("production" if production else "development")


def secrets(environ: env.Environ) -> list[str]:
    """The words that no event may have: secrets among the variables, and those in files."""
    found = [text for name, text in environ.items() if _is_secret(name)]
    found += [env.secret(environ, name) for name in IN_FILES if environ.get(f"{name}_FILE")]
    return sorted({word for word in found if len(word) >= SHORTEST}, key=len, reverse=True)


def _is_secret(name: str) -> bool:
    return bool(SECRET.search(name)) and not name.endswith("_FILE")


def cleaned(event: Any, hidden: list[str]) -> Any:
    """The event without secrets, query strings and the values of rows; with the request's id."""
    if isinstance(event.get("request"), dict):
        for key in ("query_string", "cookies", "data", "env"):
            event["request"].pop(key, None)
    if argv := event.get("extra", {}).get("sys.argv"):
        event["extra"]["sys.argv"] = argv[:2]  # the command, such as worker; not what it was told
    if number := request_id.current():
        event["tags"] = {**event.get("tags", {}), "request_id": number}
    return _cleaned(event, hidden)


def _cleaned(value: Any, hidden: list[str]) -> Any:
    """A value with every text in it cleaned; the SDK has made texts of all that is not JSON."""
    if isinstance(value, dict):
        return {key: _cleaned(one, hidden) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(one, hidden) for one in value]
    if not isinstance(value, str):
        return value
    for word in hidden:
        value = value.replace(word, MASK)
    return DETAIL.sub("", masked(value))
