"""The entries of the schedule, as the modules `schedule` of the installed apps declare them."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from .times import Times, expression, period

T = TypeVar("T", bound=Callable[..., object] | Any)
MODULE = "schedule"


@dataclass(frozen=True)
class Entry:
    """What is to run, and when. A `@task` is enqueued; any other function is called."""

    name: str
    times: Times
    target: Any

    @property
    def is_task(self) -> bool:
        return hasattr(self.target, "enqueue")


_declared: dict[str, Entry] = {}


def every(text: str, name: str = "") -> Callable[[T], T]:
    """Run a function every "30s", "10m", "2h" or "1d", counted from midnight UTC.

    Above a `@task` it enqueues the task. `name` is what the table calls it."""
    return _declare(period(text), name)


def cron(text: str, timezone: str = "UTC", name: str = "") -> Callable[[T], T]:
    """Run a function when a cron expression says so: "15 3 * * *" is each day at 03:15.

    The clock is that of `timezone`, such as "Europe/Berlin". Above a `@task` it enqueues the task.
    `name` is what the table calls it."""
    return _declare(expression(text, timezone), name)


def _declare(times: Times, name: str) -> Callable[[T], T]:
    def declare(target: T) -> T:
        entry = Entry(name or name_of(target), times, target)
        if entry.name in _declared:
            raise ImproperlyConfigured(
                f"The schedule has two entries named {entry.name}: give one of them another name=."
            )
        if not entry.is_task:
            _check_arguments(entry)
        _declared[entry.name] = entry
        return target

    return declare


def name_of(target: Any) -> str:
    """`shop.send_reports` for the function `send_reports` in shop/schedule.py."""
    function = getattr(target, "func", target)
    module = str(function.__module__).removesuffix(f".{MODULE}")
    return f"{module}.{function.__name__}"


def _check_arguments(entry: Entry) -> None:
    try:
        inspect.signature(entry.target).bind()
    except TypeError as error:
        raise ImproperlyConfigured(
            f"The schedule calls {entry.name} without arguments: {error}."
        ) from None


def discover() -> dict[str, Entry]:
    """The entries of all installed apps, and djup's own, by name."""
    autodiscover_modules(MODULE)
    return {**_declared, **{entry.name: entry for entry in _own() if entry.name not in _declared}}


def _own() -> Iterator[Entry]:
    from .own import entries  # it needs the entries that are declared here

    return entries()
