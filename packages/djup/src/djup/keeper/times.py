"""When a backup is due, and how old the newest may be. All times are UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
ALLOWED_AT = "times such as 03:15 (UTC), separated by commas"
VERIFY = {"daily": 1, "weekly": 7, "monthly": 31, "never": 0}  # days
GRACE = timedelta(hours=1)  # that a backup may take until it counts as missing


def of_day(text: str) -> tuple[int, ...]:
    """Minutes of the day, sorted, from `03:15, 15:15`; raises ValueError for any other text."""
    found = [AT.fullmatch(word) for word in re.split(r"[,\s]+", text.strip())]
    if not all(found):
        raise ValueError(text)
    return tuple(sorted({int(one[1]) * 60 + int(one[2]) for one in found if one}))


def last_due(at: Sequence[int], now: datetime) -> datetime:
    """The latest moment up to `now` at which a backup was due."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = (midnight + timedelta(days=d, minutes=m) for d in (0, -1) for m in reversed(at))
    return next(moment for moment in moments if moment <= now)


def next_due(at: Sequence[int], now: datetime) -> datetime:
    """The first moment after `now` at which one is due."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = (midnight + timedelta(days=d, minutes=m) for d in (0, 1) for m in at)
    return next(moment for moment in moments if moment > now)


def oldest_allowed(at: Sequence[int], now: datetime) -> datetime:
    """When the newest backup has to have been made, at the earliest: since the last time that it
    was due, or the one before that as long as the last one has its grace."""
    due = last_due(at, now)
    before = last_due(at, due - timedelta(minutes=1))
    grace = min(GRACE, (due - before) / 2)
    return due if now - due > grace else before


def moment(text: str) -> datetime:
    """A moment that was written as ISO 8601."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def is_ahead(text: str, now: datetime) -> bool:
    """Whether a moment is one that is to come: written by a clock that was wrong."""
    return moment(text) > now + GRACE
