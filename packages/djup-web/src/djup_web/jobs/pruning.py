"""Tidying of finished jobs, a batch at a time: no long lock, no long transaction."""

from datetime import timedelta

from django.utils import timezone

from . import queue
from .models import Job, State

DAYS, DEAD_DAYS = 7, 90
BATCH = 5000


def prune(days: float = DAYS, dead_days: float = DEAD_DAYS) -> int:
    """Delete jobs that ended so many days ago; dead ones stay longer. How many they were."""
    return _prune(State.DONE, days) + _prune(State.DEAD, dead_days)


def _prune(state: str, days: float) -> int:
    jobs = Job.objects.using(queue.alias())
    old = jobs.filter(state=state, finished_at__lt=timezone.now() - timedelta(days=days))
    total: int = 0
    while batch := list(old.order_by("finished_at").values_list("pk", flat=True)[:BATCH]):
        total += jobs.filter(pk__in=batch).delete()[0]
    return total
