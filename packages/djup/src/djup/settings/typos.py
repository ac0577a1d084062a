"""Keys of `.env` that look like a slip for one of `.env.example`."""

import re
from collections.abc import Collection

LIKE = 0.87  # WEB_PROT and WEB_PORT are that alike, COMPOSE_PROFILES and COMPOSE_FILE are not


def find(
    keys: Collection[str], known: Collection[str], prefixes: tuple[str, ...] = ()
) -> dict[str, str]:
    """Each key that is probably mistyped, and what was meant, whether that is there as well or not:
    `inv` writes every key, so that a line which somebody adds comes on top of the right one. One
    with a prefix of production's, or a stage's, is looked at without that."""
    meanings = {key: _with_prefix(key, known, prefixes) for key in keys if key not in known}
    return {key: meant for key, meant in meanings.items() if meant}


def _with_prefix(key: str, known: Collection[str], prefixes: tuple[str, ...]) -> str:
    prefix = next((one for one in prefixes if key.startswith(one)), "")
    name = key.removeprefix(prefix)
    meant = "" if name in known else _meant(name, known)
    return f"{prefix}{meant}" if meant else ""


def _meant(key: str, known: Collection[str]) -> str:
    import difflib  # slow to load, and most have no key of their own

    like = difflib.get_close_matches(key.upper(), known, n=2, cutoff=LIKE)
    # One like two of them (APP_ID), or with words besides (SQL_HOST_2), is a name of its own.
    return like[0] if len(like) == 1 and not _words(key) > _words(like[0]) else ""


def _words(key: str) -> set[str]:
    return set(re.findall("[A-Z]+|[0-9]+", key.upper()))
