"""When an entry runs next: in UTC, but for a cron expression with a zone of its own."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PERIOD = re.compile(r"([1-9]\d{0,5})([smhd])")


class Times(Protocol):
    """The moments that an entry is due at; `text` is how its author has written them."""

    @property
    def text(self) -> str: ...

    def after(self, moment: datetime) -> datetime | None:
        """The first one after a moment; None if there is none within 50 years."""


@dataclass(frozen=True)
class Every:
    """Multiples of a period, counted in UTC: "10m" is at :00, :10, :20 of each hour.

    So whoever counts, and whenever it began to, comes to the same moments.
    """

    seconds: int
    text: str

    def after(self, moment: datetime) -> datetime:
        count = int(moment.timestamp() // self.seconds) + 1
        return datetime.fromtimestamp(count * self.seconds, timezone.utc)


@dataclass(frozen=True)
class Cron:
    """What a cron expression says, at the clock of a zone; cronsim takes care of summer time."""

    expression: str
    zone: str

    @property
    def text(self) -> str:
        return self.expression if self.zone == "UTC" else f"{self.expression} {self.zone}"

    def after(self, moment: datetime) -> datetime | None:
        from cronsim import CronSim  # which only projects with a cron expression need

        found = next(CronSim(self.expression, moment.astimezone(ZoneInfo(self.zone))), None)
        return found and found.astimezone(timezone.utc)


def period(text: str) -> Every:
    """Read a period, such as "30s", "10m", "2h" or "1d"."""
    if found := PERIOD.fullmatch(text):
        return Every(int(found[1]) * UNITS[found[2]], f"every {text}")
    raise ImproperlyConfigured(
        f"@every({text!r}): a period is a number and one of s, m, h, d, such as 30s, 10m or 1d."
    )


def expression(text: str, zone: str) -> Cron:
    """Read a cron expression, which has to come true some time."""
    try:
        from cronsim import CronSimError
    except ImportError:
        raise ImproperlyConfigured(
            f"@cron({text!r}) needs the package cronsim: add it to your requirements."
        ) from None
    found = Cron(text, zone)
    try:
        first = found.after(datetime.now(timezone.utc))
    except (CronSimError, KeyError, ValueError, OSError) as error:
        raise ImproperlyConfigured(f"@cron({text!r}): {error}") from None
    if first is None:
        raise ImproperlyConfigured(f"@cron({text!r}): no such day comes within 50 years.")
    return found
