"""List the tasks in short, for AGENTS.md of a project."""

import inspect
import textwrap

from invoke.collection import Collection
from invoke.util import helpline

from djup.cli.program import Command

WIDTH = 110


def as_markdown(tasks: Collection) -> str:
    """Return a paragraph for each group with its tasks; (json) marks those with --json."""
    groups: dict[str, list[str]] = {}
    for full, aliases in tasks.task_names.items():
        name = min((full, *aliases), key=len)  # a collection's default goes by its name
        task = tasks[name]
        groups.setdefault(task.group, []).append(_sentence(name, task))
    paragraphs = (f"**{group}**: {' '.join(told)}" for group, told in groups.items())
    return "\n\n".join(
        textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    )


def _sentence(name: str, task: Command) -> str:
    # By its parameters: Invoke takes the help out of a task that it has parsed.
    mark = " (json)" if "json" in inspect.signature(task.body).parameters else ""
    return f"`{name}`{mark}: {helpline(task)}"
