"""What the setting TASKS names: {"default": {"BACKEND": "djup_web.jobs.backend.JobsBackend"}}."""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core import checks
from django.utils.module_loading import import_string

from .. import request_id
from .api import (
    BaseTaskBackend,
    Task,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
)
from .policy import policy_of

if TYPE_CHECKING:
    from .models import Job

APP = "djup_web.jobs"
# What the API calls each state: a job that waits for its next attempt is ready to it.
STATUSES: dict[str, Any] = {
    "READY": TaskResultStatus.READY,
    "LATER": TaskResultStatus.READY,
    "RUNNING": TaskResultStatus.RUNNING,
    "DONE": TaskResultStatus.SUCCESSFUL,
    "DEAD": TaskResultStatus.FAILED,
}


class JobsBackend(BaseTaskBackend):
    """Keeps jobs in the database: enqueued within a transaction, one is there when that commits.

    Models are imported late: `@task` makes a backend while apps are still being loaded.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def enqueue(self, task: "Task[..., Any]", args: Any, kwargs: Any) -> "TaskResult[Any]":
        """Add a job; `manage.py worker` runs it."""
        from .models import Job, State

        self.validate_task(task)
        job = Job.objects.create(
            task=task.module_path,
            args=normalize_json(list(args)),
            kwargs=normalize_json(kwargs),
            queue=task.queue_name,
            priority=task.priority,
            backend=self.alias,
            request_id=request_id.current(),
            state=State.LATER if task.run_after else State.READY,
            run_after=task.run_after,
            allowed=policy_of(task.func).attempts,
        )
        result = result_of(job, task)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> "TaskResult[Any]":
        """Read a job by the id that `enqueue` gave."""
        from .models import Job

        try:
            job = Job.objects.get(pk=uuid.UUID(str(result_id)))
        except (Job.DoesNotExist, ValueError):
            raise TaskResultDoesNotExist(result_id) from None
        return result_of(job, task_of(job))

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        """Report that the app is missing, which has the table of the jobs."""
        if not apps.is_installed(APP):
            yield checks.Error(
                f"TASKS names {type(self).__name__}.", f'Add "{APP}" to INSTALLED_APPS.'
            )


class NoTask(Exception):
    """The code has no such task, none any more, or not in that queue."""


def task_of(job: "Job") -> "Task[..., Any]":
    """The task that the job names, with what the job says of it."""
    try:
        found = import_string(job.task)
        if not isinstance(found, Task):
            raise TypeError("it is not a task")
        return found.using(priority=job.priority, queue_name=job.queue, backend=job.backend)
    except Exception as error:  # a module may raise anything while it is imported
        raise NoTask(f"There is no task {job.task}: {error}") from error


def result_of(job: "Job", task: "Task[..., Any]") -> "TaskResult[Any]":
    """The job as the API shows it."""
    result: TaskResult[Any] = TaskResult(
        task=task,
        id=str(job.pk),
        status=STATUSES[job.state],
        enqueued_at=job.enqueued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=job.last_attempted_at,
        args=job.args,
        kwargs=job.kwargs,
        backend=job.backend,
        errors=[TaskError(**error) for error in job.errors],
        worker_ids=list(job.workers),
    )
    object.__setattr__(result, "_return_value", job.return_value)
    return result
