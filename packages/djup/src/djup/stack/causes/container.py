"""Why a container of the stack has died, or does not get healthy."""

from collections.abc import Mapping, Sequence

from djup.docker import containers, resources
from djup.docker.containers import Container
from djup.problems import Problem, problem
from djup.stack.causes import check, login, readiness
from djup.stack.causes import db as db_cause
from djup.stack.causes import web as web_cause
from djup.stack.causes.asked import Asked

DEAD = ("exited", "dead")
LINES = 12
CHECK_PATIENCE = 10  # seconds that a check may take until it has a result


def problem_of(stack: Asked, container: Container) -> Problem | None:
    """Why a service has failed; None for one that may still get ready."""
    if container.state in DEAD:
        return of_death(stack, container)
    if "(unhealthy)" not in container.status:
        return None
    if container.service == "db":  # once it fits .env, its next health check will see so
        return login.misfit(stack) or check.problem_of(container)
    if container.service != "web":
        return check.problem_of(container)
    answer = readiness.ask(stack.settings)  # its health check may lag behind
    if answer.ready:
        return check.problem_of(container)
    return web_cause.of_running(stack, answer, stack.web_log() or "")


def overdue(stack: Asked, late: Sequence[Container]) -> Problem | None:
    """Why one of the `late` services is late, where a reason can be told by now: it ends again and
    again, or the web answers and its check fails all the same."""
    again = [container for container in late if container.state == "restarting"]
    others = [container for container in again if container.service not in ("web", "db")]
    return of_other(others[0]) if others else _failing_check(stack, late)


def _failing_check(stack: Asked, late: Sequence[Container]) -> Problem | None:
    """Why the check of a web that answers does not pass; None if it does, or the web does not
    answer."""
    web = next(
        (container for container in late if container.service == "web" and container.running), None
    )
    if web is None or not readiness.ask(stack.settings).ready:
        return None
    return check.problem_of(web, patience=CHECK_PATIENCE)


def of_death(stack: Asked, container: Container, said: str = "") -> Problem:
    """Why the container of a service has ended, from its log; `said` is what its check printed."""
    if container.service == "db":
        return db_cause.problem_of(stack.settings, container)
    if container.service != "web":
        return of_other(container)
    log = containers.last_lines(container, web_cause.LINES)
    return web_cause.problem_of(stack, log, container.status, said)


def of_other(container: Container) -> Problem:
    """Why another service than web and db has ended, or is not ready: its last lines."""
    status = container.status[:1].lower() + container.status[1:]
    said = containers.last_lines(container, LINES)
    return problem("RUN08", said, service=container.service, status=status)


def of_late(stack: Asked, services: Mapping[str, Container], late: Sequence[Container]) -> Problem:
    """Why services are not healthy in time; `found` are all of them, `late` those that are not."""
    if not late:  # removed meanwhile, by somebody else
        return problem("RUN01", service=next(n for n in stack.services if n not in services))
    first = min(late, key=lambda container: container.service)
    said = check.last_said(resources.inspect(first.name).get(first.name, {}))
    return of_death(stack, first, said)
