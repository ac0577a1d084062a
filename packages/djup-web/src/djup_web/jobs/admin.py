"""The list of jobs in the admin: what failed and why, and the way to run it again."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .models import Job
from .queue import run_again


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Looked at, never edited; the one act is to run dead jobs again."""

    actions = ("run_jobs_again",)
    list_display = ("task", "state", "attempts", "enqueued_at", "started_at", "finished_at")
    list_filter = ("state", "queue", "enqueued_at")
    search_fields = ("=id", "=request_id", "task__startswith")
    search_help_text = "The id of a job or of a request, or how the task begins"
    ordering = ("-enqueued_at",)
    show_full_result_count = False
    exclude = ("errors",)

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[str]:
        """Every field, and the errors with their tracebacks."""
        return [field.name for field in Job._meta.fields if field.name != "errors"] + ["tracebacks"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A job is enqueued by code."""
        return False

    @admin.display(description="Errors")
    def tracebacks(self, job: Job) -> SafeString | str:
        """What each attempt that failed ended with."""
        parts = ((error.get("traceback", ""),) for error in job.errors)
        return format_html_join("", "<pre>{}</pre>", parts) or format_html("None")

    @admin.action(description="Run dead jobs again", permissions=["change"])
    def run_jobs_again(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Make the dead ones of these jobs ready again, with all their attempts."""
        count: Any = run_again(jobs)
        self.message_user(request, f"{count} dead jobs will run again.")
