"""What tasks do with what is deployed: status, logs, manage, psql, backup, restore, down."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from djup.deploy import database, database_client, history, plan, production, proxy
from djup.deploy import logs as service_logs
from djup.deploy.plan import Plan
from djup.deploy.swarm import jobs, swarm, swarm_stack, toolbox
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.swarm.swarm_stack import Service
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.settings.settings import Settings
from djup.terminal import consent, console
from djup.terminal.console import age, few
from djup.terminal.task import this_task

UNFINISHED = "the next deploy was killed: inv deploy finishes it, inv deploy.rollback goes back"


@dataclass(frozen=True)
class Target:
    """Where a stack is, or is not: the engine in words, the stack's name, its Swarm."""

    where: str
    stack: str
    nodes: Swarm

    def release(self) -> Release:
        """What is deployed there; a Problem where nothing is."""
        if found := history.current(self.stack):
            return found
        raise problem("DEP18", stack=self.stack, where=self.where)

    def services(self) -> list[Service]:
        """What runs there, also of a first deploy that has failed; a Problem where nothing does."""
        if found := swarm_stack.services(self.stack):
            return found
        raise problem("DEP18", stack=self.stack, where=self.where)


def target(settings: Settings, context: str, *, local: bool) -> Target:
    """Have docker speak to the engine that is meant; a Problem where that is in no Swarm."""
    where = swarm.lead_to(settings, context, local=local)
    name = production.stack_name(settings, local=local)
    if not swarm.is_one():
        raise problem("DEP18", stack=name, where=where)
    return Target(where, name, swarm.find(where, yes=False))


def status(settings: Settings, context: str, *, local: bool, as_json: bool) -> None:
    """What runs where."""
    found = target(settings, context, local=local)
    release, services = found.release(), found.services()
    if as_json:
        console.answer(console.as_json(_record(release, services)))
        return
    console.answer(_head(release, found.where))
    if history.is_unfinished(release.stack):
        console.answer(console.as_typed(UNFINISHED))
    console.answer(table(services))
    console.answer(release.url)


def logs(
    settings: Settings,
    context: str,
    *,
    local: bool,
    service: str,
    lines: str,
    ended: bool,
    follow: bool,
) -> None:
    """What the containers of a service wrote, on whatever node."""
    found = target(settings, context, local=local)
    services = {one.name.removeprefix(f"{found.stack}_"): one for one in found.services()}
    if service not in services:
        raise problem("RUN02", service=repr(service), known=", ".join(services))
    service_logs.show(services[service], int(lines), ended=ended, follow=follow)


def manage(settings: Settings, context: str, *, local: bool, arguments: list[str]) -> None:
    """Django's manage.py in the deployed version, beside its database."""
    found = target(settings, context, local=local)
    with toolbox.toolbox(found.release(), found.nodes) as container:
        # As createsuperuser --noinput has it.
        env = {k: v for k, v in os.environ.items() if k.startswith("DJANGO_SUPERUSER_")}
        toolbox.attach(container, ["python", "manage.py", *arguments], env)


def psql(settings: Settings, context: str, *, local: bool, arguments: list[str]) -> None:
    """psql on the stack's database, on our own terminal."""
    found = target(settings, context, local=local)
    with database_client.client(found.release(), found.nodes) as client:
        kept = {"PSQL_HISTORY": "/tmp/history"}  # nothing else in there can be written to
        toolbox.attach(client.container, ["psql", *arguments], {**client.variables, **kept})


def backup(settings: Settings, context: str, *, local: bool) -> None:
    """Dump the stack's database into backups/ of this checkout."""
    found = target(settings, context, local=local)
    if this_task.dry:
        console.say(f"would dump the database of {found.release().stack} into backups/")
        return
    with one_at_a_time("deploy.backup"):
        console.answer(str(database.save(found.release(), found.nodes, "asked for").dump))


def restore(settings: Settings, context: str, *, local: bool, which: str, yes: bool) -> None:
    """Put a backup in place; asks for the stack's name before."""
    found = target(settings, context, local=local)
    release = found.release()
    if this_task.dry:
        console.say(
            f"would restore {which} next to the database of {release.stack}, and swap the two"
        )
        return
    if not yes:
        _confirm(release.stack, f"replaces the database of {release.url}")
    with one_at_a_time("deploy.restore"), one_deploy(release.stack):
        jobs.finish_left(release.stack)
        database.restore(found.release(), found.nodes, which)
        waiting = plan.unapplied(found.release(), found.nodes)
    if waiting:
        console.say(f"it lacks {console.few(waiting)}, which the code needs: run inv deploy")


def _confirm(name: str, what: str) -> None:
    if consent.can_be_asked() and consent.typed(f"This {what}. To continue, type", name) == name:
        return
    raise problem("DEP27", stack=name, what=what)


def down(settings: Settings, context: str, *, local: bool, yes: bool) -> None:
    """Remove the services; the volumes stay, and what was released is forgotten."""
    found = target(settings, context, local=local)
    found.services()
    if strangers := swarm_stack.strangers(found.stack):
        raise problem("DEP30", stack=found.stack, services=few(strangers))
    if not (local or yes or this_task.dry):
        _confirm(
            found.stack, f"removes {found.stack} on {found.where}, and the history of its releases"
        )
    with one_at_a_time("deploy.down"), one_deploy(found.stack):
        jobs.remove_left(found.stack)
        swarm_stack.remove(found.stack)
    if not this_task.dry:
        console.say(
            f"the data stay on their node, in the volume {found.stack}_postgres_data; "
            "inv deploy serves them again"
        )


def finish(done: Plan, *, local: bool) -> None:
    """What runs where, and the URL; on a trial how to trust it; and what is wrong all the same."""
    release = done.release
    console.say(table(swarm_stack.services(release.stack)))
    console.say(f"release {release.number} of {release.stack} serves commit {release.commit}")
    if local and (file := proxy.save_root_certificate(release.stack)):
        console.say(
            f"the certificate is Caddy's own: a browser warns, curl --cacert {file} does not; "
            "inv deploy.down --local ends it"
        )
    if ahead := done.migrations.ahead:
        console.say(
            f"but the database has {console.few(ahead)}: pages that use them fail until the "
            "previous data are restored (inv db.backups, then inv deploy.restore NAME)"
        )
    console.answer(release.url)


def table(services: Sequence[Service]) -> str:
    """Every task that is to run, and the last failed one of a service that has not all."""
    rows = [row for service in services for row in _rows(service)]
    return console.table(("SERVICE", "NODE", "STATE", "SINCE", "IMAGE"), rows)


def _rows(service: Service) -> list[tuple[str, ...]]:
    shown = [task for task in service.tasks if task.wanted == "running"]
    rows: list[tuple[str, ...]] = [
        (task.name, task.node, _state(task.state, task.error), age(task.since), task.image)
        for task in sorted(shown, key=lambda task: task.name)
    ]
    return rows or [(service.name, "", f"0 of {service.replicas}", "", service.image)]


def _state(state: str, error: str) -> str:
    return f"{state}: {error}" if error else state


def _head(release: Release, where: str) -> str:
    at = f"{release.stack} on {where}: release {release.number}"
    before = f", before it {release.before}" if release.before else ""
    made = f"{age(release.created)} ago by {release.by}"
    return f"{at}{before}, commit {release.commit}, {made}"


def _record(release: Release, services: Sequence[Service]) -> dict[str, Any]:
    return {
        "stack": release.stack,
        "release": release.number,
        "before": release.before,
        "commit": release.commit,
        "created": release.created,
        "by": release.by,
        "url": release.url,
        "services": [asdict(service) for service in services],
    }
