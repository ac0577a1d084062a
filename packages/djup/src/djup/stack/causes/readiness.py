"""What the web says of itself at /readyz, whichever runtime serves it."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from djup.host import http
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import console

SETTLE_SECONDS = 10
STALE_SECONDS = 3  # by then a server has seen that its code has changed, and starts again
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PAGE_SECONDS = 10
LOOK_SECONDS = 1  # how often the log is read meanwhile


@dataclass(frozen=True)
class Readiness:
    """Ready or not, why not, and the facts that are worth a word even where it is ready.

    `unapplied` are the migrations that the database lacks, `unknown` those that the code lacks,
    `unmade` the apps whose models have changes that no migration makes, `conflicts` an app's last
    ones where there are several, `host_allowed` whether Django serves pages at our URL, `clock` how
    many seconds the web's clock is ahead of ours, `status` what a start would end with where its
    migrations do not fit (djup_web/exits.py).
    """

    ready: bool
    reason: str = ""
    unapplied: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    conflicts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    host_allowed: bool = True
    clock: int = 0
    status: int = 0
    unmade: tuple[str, ...] = ()


NOT_RUNNING = Readiness(False, "the web is not running")
ON_ANOTHER_PORT = Readiness(False, "the web still uses the previous port")


def ask(settings: Settings, timeout: float = 10.0) -> Readiness:
    """Ask /readyz on the published port; `timeout` in seconds."""
    try:
        answer = http.get(settings.web_port, "/readyz", timeout)
        return _read(json.loads(answer.body), answer.headers.get("date"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Readiness(False, f"{settings.url}readyz does not answer ({error})")


def page_status(settings: Settings) -> int:
    """What the page itself answers with; 0 if it does not answer."""
    try:
        return http.get(settings.web_port, "/", PAGE_SECONDS, head=True).status
    except (OSError, ValueError):
        return 0


def _read(answer: dict[str, Any], date: str | None) -> Readiness:
    return Readiness(
        bool(answer["ready"]),
        answer.get("reason", ""),
        tuple(answer.get("unapplied", ())),
        tuple(answer.get("unknown", ())),
        answer.get("conflicts", {}),
        answer.get("host_allowed", True),
        round(_seconds(date) - time.time()) if date else 0,
        answer.get("status", 0),
        tuple(answer.get("unmade", ())),
    )


def _seconds(date: str) -> float:
    """Read an HTTP date as seconds since 1970; email.utils does so too, and is slow to load."""
    _, day, month, year, time_of_day, _ = date.split()
    number = MONTHS.index(month) + 1
    return datetime.fromisoformat(f"{year}-{number:02}-{day}T{time_of_day}+00:00").timestamp()


def wait(settings: Settings, seconds: float) -> None:
    """Return once the web is ready, or after `seconds`; once it is, in a moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if ask(settings).ready:
            return


def migrated(
    settings: Settings, migrate: Callable[[], None], has_ended: Callable[[], bool]
) -> Readiness:
    """What a web that runs says, after it has applied the migrations added since its start.

    `has_ended` says whether its server waits for an edit, so that it is not waited for.
    """
    answer = settled(settings, has_ended)
    if answer.unapplied and not answer.conflicts and not answer.status:
        console.say(f"not migrated yet: {', '.join(answer.unapplied)}")
        migrate()
        answer = settled(settings, has_ended)
    return answer


def talks(answer: Readiness) -> bool:
    """Whether a web that serves has compared its migrations with the database."""
    return bool(answer.ready or answer.unapplied or answer.conflicts or answer.status)


def settled(settings: Settings, has_ended: Callable[[], bool]) -> Readiness:
    """What a web that runs says once it answers: where a file was saved, it may be starting."""
    started = asked = time.monotonic()
    while True:
        answer, now = ask(settings), time.monotonic()
        # Of an app that was removed a moment ago, the server of before cannot read the migrations.
        stale = bool(answer.status) and now - started < STALE_SECONDS
        if (talks(answer) and not stale) or now - started > SETTLE_SECONDS:
            return answer
        if now - asked > LOOK_SECONDS:
            if has_ended():
                return answer
            asked = now
        time.sleep(0.1)


def unmade(answer: Readiness) -> Problem:
    """Give the problem of models without a migration."""
    return problem("MIG11", apps=", ".join(answer.unmade), labels=" ".join(answer.unmade))


def refuse(answer: Readiness) -> None:
    """Raise if a web that is ready does not serve the page; say what is odd but does no harm."""
    if not answer.host_allowed:
        raise problem("WEB05", host="127.0.0.1")
    if answer.unknown:
        console.say(problem("MIG03", unknown=", ".join(answer.unknown)).as_note())
    if answer.unmade:
        console.say(unmade(answer).as_note())
