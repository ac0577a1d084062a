from datetime import datetime, timezone
from typing import Any

from django.db import models
from django.utils.timezone import is_naive, make_aware


class Outcome(models.TextChoices):
    """How the last run of an entry ended."""

    NONE = ""
    RUNNING = "running"
    DONE = "done"
    ENQUEUED = "enqueued"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Moment(models.DateTimeField):  # type: ignore[type-arg]
    """A time in UTC, with its zone, also in a project that has USE_TZ off."""

    def from_db_value(
        self, value: datetime | None, expression: Any, connection: Any
    ) -> datetime | None:
        if value is None:
            return None
        return (make_aware(value) if is_naive(value) else value).astimezone(timezone.utc)


class Entry(models.Model):
    """An entry of the schedule: when it last ran, and when it runs next."""

    name = models.CharField(max_length=200, primary_key=True)
    times = models.CharField(max_length=200)
    next_run = Moment(null=True)
    due = Moment(null=True)  # the time that the last run was for
    started = Moment(null=True)
    ended = Moment(null=True)
    outcome = models.CharField(max_length=20, blank=True, default="")  # one of Outcome
    error = models.TextField(blank=True, default="")
    holder = models.CharField(max_length=200, blank=True, default="")  # the process of that run
    again = models.BooleanField(default=False)  # whether that run repeats an interrupted one

    class Meta:
        default_permissions = ("view",)
        ordering = ("name",)
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.name
