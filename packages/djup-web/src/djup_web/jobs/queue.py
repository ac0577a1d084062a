"""Who may run a job, and who may write to its row.

A worker claims a job by one statement, which locks the row past those that others hold, and has it
for a while: the lease. It renews that while the job runs. Where it no longer does, another takes
the job over, by a further attempt; the first one's pen is dry from then on, as each statement
names the worker and the attempt. All clocks are the database's.

Each is one statement outside of a transaction: so a pooler by transaction may stand between.
"""

import traceback
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connections, router
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from ..masking import masked
from .models import Job, State
from .policy import Policy

LOST = "djup_web.jobs.queue.WorkerLost"
KEPT_ERRORS = 10
AT_ONCE = 100  # rows that one statement moves: it must not hold the others up
UNKNOWN_PAUSE, UNKNOWN_HOURS = 10, 1

CLAIM = """
UPDATE {table} SET state = 'RUNNING', attempts = attempts + 1, worker = %(worker)s,
    workers = workers || to_jsonb(%(worker)s::text),
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    started_at = coalesce(started_at, clock_timestamp()), last_attempted_at = clock_timestamp()
WHERE id = (
    SELECT id FROM {table} WHERE state = 'READY' AND (%(all)s OR queue = ANY(%(queues)s::text[]))
    ORDER BY priority DESC, enqueued_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *
"""
TEND = """
WITH due AS (
    UPDATE {table} SET state = 'READY' WHERE id IN (
        SELECT id FROM {table} WHERE state = 'LATER' AND run_after <= clock_timestamp()
        ORDER BY run_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) RETURNING id, state, worker, attempts
), lost AS (
    UPDATE {table} SET faults = faults + 1, lease_until = NULL,
        state = CASE WHEN faults + 1 < allowed THEN 'READY' ELSE 'DEAD' END,
        finished_at = CASE WHEN faults + 1 < allowed THEN NULL ELSE clock_timestamp() END,
        errors = errors || jsonb_build_object('exception_class_path', %(lost)s::text, 'traceback',
            'Worker ' || worker || ' ended, or was cut off, during attempt ' || attempts || '.')
    WHERE id IN (
        SELECT id FROM {table} WHERE state = 'RUNNING' AND lease_until < clock_timestamp()
        ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) RETURNING id, state, worker, attempts
)
SELECT 'due', id::text, state, worker, attempts FROM due
UNION ALL SELECT 'lost', id::text, state, worker, attempts FROM lost
"""


class WorkerLost(Exception):
    """Stands in the errors of a job whose worker ended, or was cut off, while it ran."""


class Lost:
    """A job that was taken from a worker which no longer answers."""

    def __init__(self, job: str, state: str, worker: str, attempt: int) -> None:
        self.job, self.worker, self.attempt = job, worker, attempt
        self.dead = state == State.DEAD

    def __str__(self) -> str:
        then = "is dead: it has no attempts left" if self.dead else "runs again"
        return f"Job {self.job} {then}: worker {self.worker} ended in attempt {self.attempt}"


def claim(worker: str, queues: Sequence[str], lease: float) -> Job | None:
    """Take the first job that waits, for `lease` seconds; without `queues`, of any queue."""
    values = {"worker": worker, "all": not queues, "queues": list(queues), "lease": lease}
    found = list(Job.objects.using(alias()).raw(sql(CLAIM), values))
    return found[0] if found else None


def tend() -> tuple[bool, list[Lost]]:
    """Put forward what is due, and take what dead workers had: whether any waits now, and that."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql(TEND), {"limit": AT_ONCE, "lost": LOST})
        rows = cursor.fetchall()
    return bool(rows), [Lost(*rest) for kind, *rest in rows if kind == "lost"]


def alias() -> str:
    return str(router.db_for_write(Job))


def sql(text: str) -> str:
    return text.format(table=connections[alias()].ops.quote_name(Job._meta.db_table))


def write(job: Job, **values: Any) -> bool:
    """Change the row of a running job, if it still is this attempt's."""
    ours = Job.objects.using(alias()).filter(
        pk=job.pk, state=State.RUNNING, worker=job.worker, attempts=job.attempts
    )
    return bool(ours.update(**values) == 1)


def renew(job: Job, lease: float) -> bool:
    return write(job, lease_until=Now() + timedelta(seconds=lease))


def succeed(job: Job, value: Any) -> bool:
    return ended(job, return_value=value, state=State.DONE, finished_at=timezone.now())


def fail(job: Job, error: BaseException, policy: Policy) -> bool:
    """Note an error: the job rests and is tried again, or is dead."""
    faults, now = job.faults + 1, timezone.now()
    values: dict[str, Any] = {"state": State.DEAD, "finished_at": now}
    if faults < job.allowed:
        rest = timedelta(seconds=policy.pause_after(faults))
        values = {"state": State.LATER, "run_after": now + rest}
    errors = [*job.errors, described(error)][-KEPT_ERRORS:]
    return ended(job, faults=faults, errors=errors, **values)


def ended(job: Job, **values: Any) -> bool:
    """Write how an attempt ended to the row and, if it was still ours, to the object."""
    if not write(job, lease_until=None, **values):
        return False
    for name, value in values.items():
        setattr(job, name, value)
    return True


def described(error: BaseException) -> dict[str, str]:
    """As the API's TaskError has it; PostgreSQL takes no zero byte in a text."""
    kind = type(error)
    lines = "".join(traceback.format_exception(kind, error, error.__traceback__))
    return {
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": masked(lines).replace("\0", "\\0"),
    }


def give_back(job: Job) -> bool:
    """Let another run it at once, as a further attempt. It is no fault of the job's."""
    return write(job, state=State.READY, lease_until=None)


def put_aside(job: Job) -> bool:
    """Leave a job whose task this code does not have to a worker that has it, for an hour.

    While a new version comes, the old one sees its jobs as well. No attempt has begun.
    """
    now = timezone.now()
    if now - job.enqueued_at > timedelta(hours=UNKNOWN_HOURS):
        return False
    rest = now + timedelta(seconds=UNKNOWN_PAUSE)
    workers = job.workers[:-1]
    values = {"attempts": F("attempts") - 1, "workers": workers, "run_after": rest}
    return write(job, state=State.LATER, lease_until=None, **values)


def expire(worker: str) -> None:
    """End the leases of a worker that is known to be dead."""
    running = Job.objects.using(alias()).filter(state=State.RUNNING, worker=worker)
    running.update(lease_until=Now() - timedelta(seconds=1))


def give_back_unbegun(worker: str) -> None:
    """Give back what was claimed by a statement whose answer never came."""
    running = Job.objects.using(alias()).filter(state=State.RUNNING, worker=worker)
    running.update(state=State.READY, lease_until=None)


def run_again(jobs: Any) -> int:
    """Make dead jobs ready again, with all their attempts, and return how many they were."""
    fresh = {"faults": 0, "finished_at": None, "run_after": None}
    return int(jobs.filter(state=State.DEAD).update(state=State.READY, **fresh))
