"""What the containers of a deployed service wrote: one stream, in the order of time."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from djup.deploy.swarm.swarm_stack import LOGS_SECONDS, Service
from djup.host import process
from djup.host.process import ChildFailed
from djup.terminal import console
from djup.terminal.task import this_task

# `docker service logs --timestamps`: time, then SERVICE.PLACE.TASK@NODE, then what was written.
LINE = re.compile(r"(?P<time>\S+Z) (?P<rest>\S+\.(?P<task>\w+)@\S+\s*\| ?.*)")


@dataclass(frozen=True, order=True)
class Line:
    """A line of a container, and the task that wrote it, as docker shortens its id."""

    time: str
    task: str
    text: str


def show(service: Service, count: int, *, ended: bool, follow: bool) -> None:
    """Print the last `count` lines of the containers that run, or with `ended` of all of them.

    With `follow` go on with what comes, also from the containers of a later deploy.
    """
    argv = ["docker", "service", "logs", "--timestamps", "--tail", str(count), service.name]
    if this_task.dry:
        process.show(argv)
        return
    done = process.collect(argv, LOGS_SECONDS)  # it may not end: docker/cli 4678
    if done.code not in (0, process.SILENT):
        console.say(done.out.rstrip())
        raise ChildFailed(done.code)
    lines = last(parse(done.out), set() if ended else running(service), count)
    for line in lines:
        console.answer(line.text)
    if follow:
        _follow(service, lines)


def running(service: Service) -> set[str]:
    """The ids of the tasks that run; none where the whole service has ended."""
    tasks = {task.id for task in service.tasks if task.state == "running"}
    if not tasks:
        console.say(f"nothing of {service.name} runs: this is what ended containers wrote")
    return tasks


def parse(text: str) -> list[Line]:
    """The lines of containers; what docker itself says between them is left out."""
    matches = map(LINE.fullmatch, text.splitlines())
    return [Line(match["time"], match["task"], match["rest"]) for match in matches if match]


def last(lines: list[Line], tasks: Collection[str], count: int) -> list[Line]:
    """The last `count` by time, of these tasks alone if any are given."""
    wanted = [line for line in lines if not tasks or any(id.startswith(line.task) for id in tasks)]
    return sorted(wanted)[-count:] if count else []


def _follow(service: Service, shown: list[Line]) -> None:
    since = ["--since", _just_after(shown[-1].time)] if shown else ["--tail", "0"]
    process.attach_or_fail(["docker", "service", "logs", "--follow", *since, service.name])


def _just_after(time: str) -> str:
    """A nanosecond later than docker's `2026-11-28T10:00:01.000000000Z`: it would begin with the
    line of that moment, which was shown."""
    seconds, nanoseconds = time.removesuffix("Z").split(".")
    return f"{seconds}.{min(int(nanoseconds) + 1, 999_999_999):09}Z"
