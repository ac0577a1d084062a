"""The database on another node: a copy follows there, and takes its place."""

import time
from contextlib import suppress

from djup.deploy import (
    archiving,
    database_client,
    handover,
    program_configs,
    slots,
    standby,
    standby_lag,
)
from djup.deploy.promotion import GAP, Promotion, only
from djup.deploy.standby_lag import Lag
from djup.deploy.swarm import jobs, swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Node, Swarm
from djup.deploy.target import find_target
from djup.host import process
from djup.host.checkout_lock import one_at_a_time
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import consent, console, hangup
from djup.terminal.task import this_task

CLOSE_BYTES = 16 * 1024 * 1024  # behind: what is left then is sent while the database ends
LOOK_SECONDS = 1
SILENT_SECONDS = 150  # without a copy that follows, or is being made
TENTH = 10  # percent


def run(settings: Settings, context: str, *, to: str, yes: bool) -> None:
    """Move the database of the stack to a node, by its name or id."""
    target = find_target(settings, context, local=False)
    release = target.release()
    new = _node(target.swarm, to)
    if not release.has_own_database:
        raise problem("DEP68.managed")
    old = only(target.swarm, swarm.db_label(release.stack))
    if new.id == old.id:
        raise problem("DEP68.there", node=new.name)
    if this_task.dry:
        console.say(f"would copy the database to {new.name}, and have it run there")
        return
    _confirm(release.stack, new.name, yes)
    with one_at_a_time("deploy.move"), one_deploy(release.stack):
        handover.refuse_cut_off(release.stack)
        jobs.finish_left(release.stack)
        then, seconds = _move(release, target.swarm, old, new)
    _tell(release, old, then, seconds)


def _tell(release: Release, old: Node, then: Node | None, seconds: float) -> None:
    console.say(f"the site was without a database for {seconds:.0f} s")
    volume = f"{release.stack}_postgres_data"
    if then and then.id == old.id:
        console.say(f"{old.name} is the standby now; what it had is put aside there, in {volume}")
    else:
        console.say(
            f"{old.name} keeps its data, in the volume {volume}; once you need them no more, "
            "remove it there: docker volume rm"
        )
    if archiving.has_one(release):
        console.say(GAP)


def _node(reached: Swarm, name: str) -> Node:
    """The node of a name or id; a Problem for one that is not there, or takes no tasks."""
    found = [node for node in reached.nodes if name in (node.name, node.id)]
    if len(found) != 1:
        known = ", ".join(node.name for node in reached.nodes)
        raise problem("DEP68.unknown", node=name, known=known)
    if not found[0].ready:
        raise problem("DEP68.away", node=name)
    return found[0]


def _confirm(stack: str, node: str, yes: bool) -> None:
    what = f"stops the database for some seconds, once {node} has a copy of it"
    if not consent.by_name(f"This {what}. To continue, type", stack, yes=yes).given:
        raise problem("DEP27", stack=stack, what=what)


def _move(release: Release, reached: Swarm, old: Node, new: Node) -> tuple[Node | None, float]:
    """Move it; which node has the standby then, and the seconds without a database. The standby, if
    there is one, is the copy meanwhile, and follows again where it was."""
    before = reached.labelled(standby.label(release.stack))
    lasting = before[0] if before and standby.has_one(release) else None
    then = old if lasting and lasting.id == new.id else lasting
    try:
        _copy_to(release, reached, new)
        _wait_until_it_follows(release, reached, new)
        promotion = Promotion(release, reached, old, new, then, proven=True)
    except BaseException:
        _give_up(release, reached, lasting)
        raise
    try:
        return then, promotion.make()
    except BaseException:
        with suppress(Problem):  # what is noted, inv deploy.promote finishes
            if not handover.find(release.stack) and _leads(release, reached, old):
                _give_up(release, reached, lasting)
        raise


def _leads(release: Release, reached: Swarm, node: Node) -> bool:
    labelled = swarm.again(reached).labelled(swarm.db_label(release.stack))
    return [each.id for each in labelled] == [node.id]


def _give_up(release: Release, reached: Swarm, lasting: Node | None) -> None:
    with process.unbroken():
        _as_before(release, reached, lasting)


def _copy_to(release: Release, reached: Swarm, new: Node) -> None:
    """Have the service of the standby run on that node, and on no other."""
    stack = release.stack
    if reached.labelled(standby.label(stack)) != [new] or not swarm_stack.find(stack, "standby"):
        swarm_stack.remove_service(stack, standby.SERVICE)
        _label_only(reached, standby.label(stack), new)
        _start(release)
    swarm_stack.wait(stack, [f"{stack}_{standby.SERVICE}"])


def _label_only(reached: Swarm, label: str, chosen: Node | None) -> None:
    for node in swarm.again(reached).nodes:
        if chosen and node.id == chosen.id:
            swarm.relabel(node, add=label)
        else:
            swarm.relabel(node, remove=label)


def _start(release: Release) -> None:
    """The service alone, of this version of djup: nothing else of the stack is touched."""
    named = program_configs.create(release.stack, standby.program())
    swarm_stack.apply(standby.alone(release.with_values(**named)))


def _wait_until_it_follows(release: Release, reached: Swarm, new: Node) -> None:
    console.say(f"copying the database to {new.name} ...")
    heard, told = time.monotonic(), 0
    with database_client.client(release, reached) as client:
        while not _is_close(lag := standby_lag.lag(client)):
            if lag.follows or lag.copied >= 0:
                heard = time.monotonic()
            if time.monotonic() - heard > SILENT_SECONDS:
                raise _silent(release.stack, new)
            if lag.copied >= told + TENTH:
                told = lag.copied
                console.say(f"copied {told} %")
            time.sleep(LOOK_SECONDS)


def _is_close(lag: Lag) -> bool:
    return lag.follows and lag.bytes < CLOSE_BYTES


def _silent(stack: str, node: Node) -> Problem:
    said = swarm_stack.logs("--tail", "10", f"{stack}_{standby.SERVICE}")
    return problem("DEP68", said, node=node.name, seconds=SILENT_SECONDS)


def _as_before(release: Release, reached: Swarm, lasting: Node | None) -> None:
    """The standby where it was, or none; half a copy stays in the volume of its node, and is
    replaced by the next."""
    this_task.interrupted = False
    try:
        swarm_stack.remove_service(release.stack, standby.SERVICE)
        _label_only(reached, standby.label(release.stack), lasting)
        if lasting:
            _start(release)
        else:
            slots.drop(release, reached, standby.SERVICE)
    except Problem as another:
        console.say(f"the standby could not be put back: {another.what}")
    except OSError:  # who read our words is gone; what is left, the next move takes over
        hangup.let_go(1, 2)
