"""The entries as a table: when each ran, how that ended, when it runs next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .entries import discover
from .models import Entry as Row
from .models import Outcome

HEAD = ("entry", "when", "last run", "ended", "next run")


@dataclass(frozen=True)
class Line:
    """An entry; times are ISO 8601 in UTC, or empty."""

    name: str
    times: str
    last_run: str
    outcome: str
    error: str
    seconds: float | None
    next_run: str


def lines() -> list[Line]:
    """A line for each entry of the code, by name; one that no schedule has seen yet is new."""
    rows = {row.name: row for row in Row.objects.all()}
    entries = sorted(discover().items())
    now = datetime.now(timezone.utc)
    return [
        _line(rows.get(name) or Row(name=name, times=one.times.text, next_run=one.times.after(now)))
        for name, one in entries
    ]


def _line(row: Row) -> Line:
    took = (row.ended - row.started).total_seconds() if row.started and row.ended else None
    return Line(
        name=row.name,
        times=row.times,
        last_run=_iso(row.started),
        outcome=str(Outcome(row.outcome)),
        error=row.error,
        seconds=took,
        next_run=_iso(row.next_run),
    )


def _iso(moment: datetime | None) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds") if moment else ""


def as_text(found: Sequence[Line]) -> str:
    """The lines in columns."""
    rows = [HEAD, *(_columns(line) for line in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    padded = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(padded)


def _columns(line: Line) -> tuple[str, ...]:
    took = f" after {line.seconds:.1f} s" if line.seconds is not None else ""
    ended = f"{line.outcome}{took}" if line.outcome else "-"
    reason = f": {line.error.splitlines()[0][:60]}" if line.error else ""
    return line.name, line.times, _plain(line.last_run), ended + reason, _plain(line.next_run)


def _plain(moment: str) -> str:
    return moment.replace("T", " ").replace("+00:00", " UTC") or "-"
