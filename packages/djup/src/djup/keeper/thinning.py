"""Which backups stay: BACKUP_KEEP=7d4w6m keeps the newest of 7 days, 4 weeks and 6 months."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

KEEP = re.compile(r"(?=.)(?:(?P<d>\d+)d)?(?:(?P<w>\d+)w)?(?:(?P<m>\d+)m)?(?:(?P<y>\d+)y)?")
ALLOWED = "such as 7d4w6m: the newest of each of 7 days, 4 weeks and 6 months"
PERIODS: Mapping[str, Callable[[datetime], tuple[int, ...]]] = {
    "d": lambda at: (at.year, at.month, at.day),
    "w": lambda at: at.isocalendar()[:2],
    "m": lambda at: (at.year, at.month),
    "y": lambda at: (at.year,),
}


def periods(text: str) -> dict[str, int]:
    """How many days (d), weeks (w), months (m) and years (y); ValueError for another text, or one
    that keeps none."""
    found = KEEP.fullmatch(text)
    counts = {unit: int(count or 0) for unit, count in (found.groupdict() if found else {}).items()}
    if not any(counts.values()):
        raise ValueError(text)
    return counts


def kept(made: Mapping[str, datetime], verified: Sequence[str], keep: str) -> set[str]:
    """The names that stay, of backups by when they were made: the newest of each period, the newest
    of all, and the newest of those that were `verified`."""
    newest_first = sorted(made, key=lambda name: made[name], reverse=True)
    stay = {*newest_first[:1], *[name for name in newest_first if name in verified][:1]}
    for unit, count in periods(keep).items():
        of_period: dict[tuple[int, ...], str] = {}
        for name in newest_first:
            of_period.setdefault(PERIODS[unit](made[name]), name)
        stay |= set(list(of_period.values())[:count])
    return stay
