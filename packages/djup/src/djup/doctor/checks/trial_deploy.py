"""A stack that `inv deploy --local` left on this machine: its services, its pages, the way back."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from djup.deploy import ask_pages, history, kept_images, pages, production
from djup.deploy.swarm import deploy_lock, swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm_stack import Service, label_filter
from djup.docker import engine, resources
from djup.doctor.checks import server
from djup.doctor.finding import Finding
from djup.host import process
from djup.postgres import sessions
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack.docker_stack import SUPERUSER
from djup.stack.stack import Stack

SUBJECT = "trial"
READY = "/readyz"


def check(development: Stack) -> list[Finding]:
    """What the engine and the site itself say; nothing where no stack is deployed here."""
    name = production.stack_name(development.settings, local=True)
    if not _is_deployed(name):
        return []
    if by := deploy_lock.holder(name):
        return [Finding(SUBJECT, f"a deploy is running ({by})", known=False)]
    services, release = swarm_stack.services(name), history.current(name)
    findings = [_service(name, service) for service in services]
    if release is None or history.is_unfinished(name):
        return [*findings, Finding(SUBJECT, "unfinished", problem("DEP47", stack=name))]
    return [
        *findings,
        *_pages(development.settings, release),
        *_transactions(release),
        *_images(release),
    ]


def _is_deployed(name: str) -> bool:
    """Asked in a way that an engine in no Swarm answers, too; with no engine there is nothing."""
    listing = ("service", "ls", "--quiet", *label_filter(name))
    done = process.run(["docker", *listing], timeout=engine.patience())
    return not done.code and bool(done.out.strip())


def _service(name: str, service: Service) -> Finding:
    short = service.name.removeprefix(f"{name}_")
    running = sum(task.runs for task in service.tasks)
    wanted = max(service.replicas, 1)  # of a service that Swarm may start nowhere it tells 0
    fact = f"{running} of {wanted} tasks run"
    if running >= wanted:
        return Finding(f"{SUBJECT}: {short}", fact)
    failed = [task for task in service.tasks if task.error]
    newest = max(failed, key=lambda task: task.since, default=None)
    return Finding(
        f"{SUBJECT}: {short}", fact, _short(service, fact, newest.error if newest else "")
    )


def _short(service: Service, fact: str, error: str) -> Problem:
    lines, name = swarm_stack.last_lines(service.name), service.name.rpartition("_")[2]
    if not error:
        return problem("DEP46", lines, service=service.name, name=name, fact=fact)
    return problem("DEP46.error", lines, service=service.name, name=name, fact=fact, error=error)


def _pages(settings: Settings, release: Release) -> list[Finding]:
    """What a visitor gets, by way of the proxy's port on this machine."""
    paths = (READY, *production.local(settings).pages)
    with ThreadPoolExecutor() as pool:
        answers = pool.map(partial(ask_pages.patiently, _site(release)), paths)
        return [_page(release, *pair) for pair in zip(paths, answers, strict=True)]


def _transactions(release: Release) -> list[Finding]:
    """Report open transactions that hold up the next migration; nothing where the server is not
    running."""
    label = f"label=com.docker.swarm.service.name={release.stack}_db"
    containers = engine.ask("ps", "--quiet", "--filter", label).split()
    if not containers:
        return []
    argv = ["docker", "exec", "--interactive", "--env", "SQL_DATABASE", containers[0]]
    variables = {**os.environ, "SQL_DATABASE": release.values["SQL_DATABASE"]}
    done = process.run([*argv, "sh", "-c", SUPERUSER], stdin=sessions.OPEN, env=variables)
    idle = sessions.open_ones(done.out) if not done.code else []
    subject = f"{SUBJECT}: transactions"
    return [server.open_transactions(idle, "inv deploy.psql --local", subject)]


def _site(release: Release) -> dict[str, Any]:
    """Where to ask, and as which host."""
    port = release.values["HTTPS_PORT"]
    host = release.names[0] + release.values["HTTPS_SUFFIX"]
    return {"host": host, "address": "127.0.0.1", "port": int(port), "tls": True}


def _page(release: Release, path: str, answer: str) -> Finding:
    url = f"{release.url.rstrip('/')}{path}"
    cause = None if pages.is_well(answer) else problem("DEP48", url=url, answer=answer)
    return Finding(f"{SUBJECT}: page", f"{url} answers {answer}", cause)


def _images(release: Release) -> list[Finding]:
    """Whether what runs could be started again, and the release before it."""
    previous = history.by_number(release.stack, release.before)
    wanted = {
        kept.values[key]: (key, kept)
        for kept in (previous, release)
        if kept
        for key in kept_images.KEYS
        if kept.values.get(key)
    }
    present = resources.inspect(*wanted)
    gone = [
        Finding(f"{SUBJECT}: image", image, _gone(image, *wanted[image]))
        for image in wanted
        if image not in present
    ]
    return gone or [Finding(f"{SUBJECT}: images", "all present")]


def _gone(image: str, key: str, release: Release) -> Problem:
    again = (
        kept_images.again(release, "--local") if key == kept_images.WEB else f"docker pull {image}"
    )
    return problem("DEP49", image=image, number=release.number, again=again)
