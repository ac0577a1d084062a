"""The one table. Its indexes for workers hold unfinished jobs alone: finished ones cost them
nothing, however many there are."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone


class State(models.TextChoices):
    """Where a job stands: LATER until its time has come, DEAD after its last attempt failed."""

    READY = "READY"
    LATER = "LATER"
    RUNNING = "RUNNING"
    DONE = "DONE"
    DEAD = "DEAD"


class Job(models.Model):
    """A job, from `enqueue` to the day it is tidied away.

    While it runs, `worker` and `attempts` say whose it is: only that attempt of that worker may
    write to the row. It is another's when `lease_until` has passed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=250)
    args: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    kwargs: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    queue = models.CharField(max_length=32)
    priority = models.SmallIntegerField(default=0)
    backend = models.CharField(max_length=32)
    # Of the web request that enqueued it, or of the job that did.
    request_id = models.CharField(max_length=64, blank=True)

    state = models.CharField(max_length=8, choices=State.choices, default=State.READY)
    run_after = models.DateTimeField(null=True)
    enqueued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    last_attempted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    attempts = models.PositiveIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0)
    allowed = models.PositiveIntegerField(default=1)
    worker = models.CharField(max_length=64, blank=True)
    workers: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    lease_until = models.DateTimeField(null=True)

    return_value: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    errors: "models.JSONField[Any, Any]" = models.JSONField(default=list)

    class Meta:
        indexes = (
            models.Index(
                models.F("priority").desc(),
                "enqueued_at",
                condition=Q(state=State.READY),
                name="djup_jobs_ready",
            ),
            models.Index("run_after", condition=Q(state=State.LATER), name="djup_jobs_later"),
            models.Index("lease_until", condition=Q(state=State.RUNNING), name="djup_jobs_running"),
            models.Index("finished_at", "state", name="djup_jobs_finished"),
            models.Index(models.F("enqueued_at").desc(), name="djup_jobs_newest"),
        )

    def __str__(self) -> str:
        return f"{self.task} {self.id}"
