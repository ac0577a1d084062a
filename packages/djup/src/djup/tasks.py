"""What a project's tasks.py is made of: djup's tasks, and the decorator for one's own.

from djup.tasks import Context, collect, task

@task(group="The shop")
def report(c: Context) -> None:
    "Print yesterday's orders."
    c.run("./inv manage -- report --yesterday")

namespace = collect(report, after={"up": report})
"""

from collections.abc import Mapping

from invoke.collection import Collection
from invoke.context import Context

from djup.cli.program import Command, task
from djup.cli.tasks import every_task

__all__ = ["Collection", "Context", "collect", "task"]


def collect(
    *own: Command | Collection,
    before: Mapping[str, Command] | None = None,
    after: Mapping[str, Command] | None = None,
) -> Collection:
    """djup's tasks and these: one with the name of one of djup's takes that one's place.

    `before` and `after` name a task and another that each call of it begins with, or ends with once
    it has come to a good end.
    """
    tasks = every_task()
    for one in own:
        if isinstance(one, Collection) and one.name in tasks.collections:
            for member in one.tasks.values():
                tasks.collections[one.name].add_task(member)
        elif isinstance(one, Collection):
            tasks.add_collection(one)
        else:
            tasks.add_task(one)
    for name, first in (before or {}).items():
        tasks[name].pre = [*tasks[name].pre, first]
    for name, then in (after or {}).items():
        tasks[name].post = [*tasks[name].post, then]
    return tasks
