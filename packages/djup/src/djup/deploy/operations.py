"""What tasks do with a deployed stack: logs, manage, psql, backup, restore, down."""

import os
from datetime import UTC, datetime, timedelta

from djup.deploy import (
    database,
    database_client,
    edge,
    handover,
    history,
    maintenance,
    moments,
    plan,
    recovery,
    service_logs,
    stored,
)
from djup.deploy.swarm import jobs, swarm_stack, toolbox
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.target import Target, find_target
from djup.docker import containers
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.settings.settings import Settings
from djup.terminal import consent, console
from djup.terminal.console import few
from djup.terminal.task import this_task


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
    target = find_target(settings, context, local=local)
    services = {known.name.removeprefix(f"{target.stack}_"): known for known in target.services()}
    if service not in services:
        raise problem("RUN02", service=repr(service), known=", ".join(services))
    service_logs.show(services[service], int(lines), ended=ended, follow=follow)


def manage(settings: Settings, context: str, *, local: bool, arguments: list[str]) -> None:
    """Django's manage.py in the deployed version, beside its database."""
    target = find_target(settings, context, local=local)
    with toolbox.toolbox(target.release(), target.swarm) as container:
        # As createsuperuser --noinput has it.
        env = {k: v for k, v in os.environ.items() if k.startswith("DJANGO_SUPERUSER_")}
        toolbox.attach(container, ["python", "manage.py", *arguments], env)


def shell(settings: Settings, context: str, *, local: bool, arguments: list[str]) -> None:
    """A shell in the deployed version, with its settings: not in a replica that serves."""
    target = find_target(settings, context, local=local)
    with toolbox.toolbox(target.release(), target.swarm) as container:
        toolbox.attach(container, containers.shell(arguments))


def psql(settings: Settings, context: str, *, local: bool, arguments: list[str]) -> None:
    """psql on the stack's database, on our own terminal."""
    target = find_target(settings, context, local=local)
    with database_client.client(target.release(), target.swarm) as client:
        kept = {"PSQL_HISTORY": "/tmp/history"}  # nothing else in there can be written to
        toolbox.attach(client.container, ["psql", *arguments], {**client.variables, **kept})


def backup(settings: Settings, context: str, *, local: bool) -> None:
    """Dump the stack's database into backups/ of this checkout."""
    target = find_target(settings, context, local=local)
    if this_task.dry:
        console.say(f"would back up {target.release().stack} into backups/")
        return
    with one_at_a_time("deploy.backup"):
        console.answer(str(database.save_all(target.release(), target.swarm, "asked for").dump))


def restore(
    settings: Settings, context: str, *, local: bool, which: str, at: bool, yes: bool
) -> None:
    """Put a backup in place, or the data as they were `at` a moment; asks for the stack's name
    before."""
    if at:  # in time for who mistypes; which moment it is, the clock of the database tells
        moments.parsed(which, datetime.now(UTC) + timedelta(days=1))
    target = find_target(settings, context, local=local)
    release = target.release()
    if this_task.dry:
        console.say(
            f"would restore {which} next to the database of {release.stack}, and swap the two"
        )
        return
    if not at:
        which = _at_hand(settings, target, which, local=local)
    _confirm(release.stack, f"replaces the database of {release.url}", yes)
    with one_at_a_time("deploy.restore"), one_deploy(release.stack):
        handover.refuse_cut_off(release.stack)
        jobs.finish_left(release.stack)
        if at:
            which = recovery.save(target.release(), target.swarm, which).name
        database.restore(target.release(), target.swarm, which)
        waiting = plan.unapplied(target.release(), target.swarm)
    if waiting:
        console.say(f"it lacks {console.few(waiting)}, which the code needs: run inv deploy")


def _at_hand(settings: Settings, target: Target, which: str, *, local: bool) -> str:
    """The name of what is to be restored: if only the store has it, it is copied here first."""
    store = stored.of(settings)
    if not local and store.is_there and not database.knows(target.release(), target.swarm, which):
        return stored.fetched(store, which).name
    database.find(target.release(), target.swarm, which)
    return which


def _end_maintenance(target: Target) -> None:
    """The page lies in a volume, which stays, and what it is noted in does not."""
    release = history.current(target.stack)
    if release and maintenance.noticed(target.stack) and not this_task.dry:
        maintenance.turn_off(release)


def _confirm(name: str, what: str, yes: bool) -> None:
    if not consent.by_name(f"This {what}. To continue, type", name, yes=yes).given:
        raise problem("DEP27", stack=name, what=what)


def down(settings: Settings, context: str, *, local: bool, yes: bool) -> None:
    """Remove the services; the volumes stay, and what was released is forgotten."""
    target = find_target(settings, context, local=local)
    target.services()
    if strangers := swarm_stack.strangers(target.stack):
        raise problem("DEP30", stack=target.stack, services=few(strangers))
    what = f"removes {target.stack} on {target.where}, and the history of its releases"
    _confirm(target.stack, what, yes or local)
    with one_at_a_time("deploy.down"), one_deploy(target.stack):
        handover.refuse_cut_off(target.stack)
        volumes = {name for each in swarm_stack.services(target.stack) for name in each.volumes}
        jobs.remove_left(target.stack)
        _end_maintenance(target)
        edge.leave(target.stack)
        swarm_stack.remove(target.stack)
    if not this_task.dry:
        kept = ", ".join(sorted(volumes))
        console.say(f"these volumes stay on their nodes: {kept}; inv deploy serves them again")
