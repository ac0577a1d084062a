"""A moment of the past, as `--at` has it."""

import re
from datetime import UTC, datetime, timedelta

from djup.problems import problem

AGO = re.compile(r"(\d+) *([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
EXAMPLE = "inv deploy.restore --at '2026-11-28 14:03:05' (UTC), or: inv deploy.restore --at 10m"


def parsed(text: str, now: datetime) -> datetime:
    """The moment that a text names: ISO 8601, in UTC unless it says otherwise, or how long ago it
    was, such as 30s, 10m, 2h or 1d. A problem where it is none, or is yet to come."""
    found = _ago(text, now) or _iso(text)
    if found is None or found > now:
        raise problem("TASK06.moment", flag="--at", value=repr(text), example=EXAMPLE)
    return found


def _ago(text: str, now: datetime) -> datetime | None:
    match = AGO.fullmatch(text.strip())
    try:
        return now - timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
    except OverflowError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_key(moment: datetime) -> str:
    """As the copies in the archive are named: they sort by time."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def as_text(moment: datetime) -> str:
    """As PostgreSQL reads it, and a person."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
