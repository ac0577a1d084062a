"""The standby takes the database's place: end that, see that the copy has all, promote, lead there.

Nothing does this by itself: a node that is cut off goes on running its database, and what the web
there writes to it would be lost. So a person says when.
"""

import time
from dataclasses import dataclass

from djup.deploy import archiving, database_client, handover, standby, standby_lag, whole
from djup.deploy.handover import PROMOTE, Note
from djup.deploy.standby_lag import Lag, Received
from djup.deploy.swarm import jobs, swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Node, Swarm
from djup.deploy.target import Target, find_target
from djup.docker import engine
from djup.host import process
from djup.host.checkout_lock import one_at_a_time
from djup.host.process import ChildFailed
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import consent, console, hangup
from djup.terminal.task import this_task

DATABASE = "db"
GAP = (
    "the archive begins again: the moments from now until its first copy is made cannot be restored"
)
PROMOTE_COPY = "select not pg_is_in_recovery() or pg_promote(true, 60)"
UNFIT = (
    "it was promoted before, and is made again: wait until inv deploy.status shows that it follows"
)


@dataclass(frozen=True)
class Flags:
    """The flags of `inv deploy.promote`: that the node of the database is gone, that something may
    be lost, and that nobody is asked."""

    node_is_gone: bool = False
    allow_loss: bool = False
    yes: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known before anything is done: the node that has the database, the one that has the
    copy, how far that is as the database says (None: it does not answer), and what it has."""

    old: Node
    new: Node
    lag: Lag | None
    received: Received

    @property
    def is_safe(self) -> bool:
        """Whether the copy follows a database that answers, so that it can be seen to have all."""
        return self.lag is not None and self.lag.follows

    def in_words(self) -> str:
        """For the person who is about to decide."""
        if self.is_safe and self.lag:
            return f"{self.lag.in_words()}; the copy on {self.new.name} gets the rest before"
        last = self.received.last or "an unknown time"
        why = "does not answer" if self.lag is None else "answers, but the standby does not follow"
        return (
            f"the database on {self.old.name} {why}. The copy on {self.new.name} has all up to "
            f"{last} (UTC); later changes, if there were any, are not in it"
        )


@dataclass(frozen=True)
class Promotion:
    """Of one stack: from the node `old` to `new`, where a standby is `then` to be; what is `proven`
    is that the copy has all, and where it is not, what it lacks is borne."""

    release: Release
    swarm: Swarm
    old: Node
    new: Node
    then: Node | None
    proven: bool
    node_is_gone: bool = False

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.release.stack

    def make(self) -> float:
        """Carry it out; the seconds without a database. Where it fails before the copy is promoted,
        all is as it was; later, it goes on when it is called again."""
        with database_client.client(_at_standby(self.release), self.swarm) as copy:
            copy.ask("checkpoint", copy.database)  # the next one is a short one
            position = whole.position(self.release, self.swarm) if self.proven else ""
            then = self.then.id if self.then else ""
            facts = {"old": self.old.id, "new": self.new.id, "then": then}
            handover.begin(self.stack, PROMOTE, facts)
            begun = time.monotonic()
            try:
                self._stop_database()
                if self.proven and not whole.is_reached(copy, position):
                    raise problem("DEP66.lacks", node=self.new.name)
            except BaseException:
                self._end_without_promotion()
                raise
            self._promote(copy)
        self.lead()
        return time.monotonic() - begun

    def _stop_database(self) -> None:
        """Have nobody write to the old database any more, as far as its node can be asked."""
        swarm_stack.scale(self.stack, DATABASE, 0)
        swarm_stack.wait(self.stack, [f"{self.stack}_{DATABASE}"])
        if not self.node_is_gone and not _present(swarm.again(self.swarm), self.old).ready:
            raise problem("DEP66", node=self.old.name)

    def _promote(self, copy: Client) -> None:
        """From here on nobody knows that it was not promoted, unless it says so itself."""
        try:
            done = copy.ask(PROMOTE_COPY, copy.database) == "t"
        except BaseException:
            if _follows(copy):
                self._end_without_promotion()
            raise
        if not done:
            raise problem("DEP66.slow", node=self.new.name)
        handover.decide(self.stack)

    def _end_without_promotion(self) -> None:
        with process.unbroken():
            self.go_back()

    def go_back(self) -> None:
        """The database again where it was; the copy goes on following it. Whoever reads what we say
        may be gone."""
        this_task.interrupted = False
        try:
            swarm.patiently(lambda: swarm_stack.scale(self.stack, DATABASE, 1))
            handover.end(self.stack)
            console.say(f"not promoted: the database starts again on {self.old.name}")
        except OSError:
            hangup.let_go(1, 2)
            swarm.patiently(lambda: swarm_stack.scale(self.stack, DATABASE, 1))
            handover.end(self.stack)
        except (Problem, ChildFailed) as another:
            console.say(f"going back failed, too: {another}. Run inv deploy.promote again")

    def lead(self) -> None:
        """Have the service of the database start on the copy. Each step may have been done before,
        by somebody who was killed."""
        if swarm_stack.find(self.stack, standby.SERVICE):
            swarm_stack.scale(self.stack, standby.SERVICE, 0)
            swarm_stack.wait(self.stack, [f"{self.stack}_{standby.SERVICE}"])
        self._label()
        swarm_stack.scale(self.stack, DATABASE, 1)
        swarm_stack.wait(self.stack, [f"{self.stack}_{DATABASE}"])
        console.say(f"the database runs on {self.new.name} now")
        if self.then:
            swarm_stack.scale(self.stack, standby.SERVICE, 1)
        else:
            swarm_stack.remove_service(self.stack, standby.SERVICE)
        handover.end(self.stack)

    def _label(self) -> None:
        """No node has both labels at any time; and the old one loses its own last, so that a label
        is never nowhere."""
        database, copy = swarm.db_label(self.stack), standby.label(self.stack)
        now = swarm.again(self.swarm)
        swarm.relabel(_present(now, self.new), add=database, remove=copy)
        for node in now.nodes:
            if node.id != self.new.id:
                copies = {"add": copy} if self.then and node.id == self.then.id else {}
                swarm.relabel(node, remove=database, **copies)


def run(settings: Settings, context: str, flags: Flags) -> None:
    """Promote the standby, or finish a promotion that was cut off."""
    target = find_target(settings, context, local=False)
    release = target.release()
    if this_task.dry:
        console.say(f"would stop the database of {release.stack}, and promote its standby")
        return
    handover.refuse_cut_off(release.stack, but=PROMOTE)
    if handover.find(release.stack):
        _finish(target, release)
        return
    if not standby.has_one(release):
        raise problem("DEP66.none")
    facts = _facts(release, target.swarm, flags)
    console.say(facts.in_words())
    _refuse(facts, flags)
    _confirm(release.stack, facts.new.name, flags.yes)
    with one_at_a_time("deploy.promote"), one_deploy(release.stack):
        handover.refuse_cut_off(release.stack)
        jobs.finish_left(release.stack)
        promotion = _planned(release, target.swarm, facts, flags)
        seconds = promotion.make()
    _tell(promotion, seconds)


def _planned(release: Release, reached: Swarm, facts: Facts, flags: Flags) -> Promotion:
    """By the labels as they are now that nobody else changes them."""
    now = swarm.again(reached)
    old, new = _database(release, now, flags), only(now, standby.label(release.stack))
    if (old.id, new.id) != (facts.old.id, facts.new.id):
        raise problem("DEP66.changed")
    return Promotion(
        release,
        now,
        old,
        new,
        then=old,
        proven=facts.is_safe,
        node_is_gone=flags.node_is_gone,
    )


def _facts(release: Release, reached: Swarm, flags: Flags) -> Facts:
    old = _database(release, reached, flags)
    new = only(reached, standby.label(release.stack))
    gone = flags.node_is_gone and not old.ready
    lag = None if gone else _lag(release, reached)
    try:
        with database_client.client(_at_standby(release), reached) as client:
            return Facts(old, new, lag, standby_lag.received(client))
    except Problem as cause:
        raise problem("DEP66.silent", node=new.name, reason=cause.what) from cause


def _database(release: Release, reached: Swarm, flags: Flags) -> Node:
    """The node of the database; one that is gone may have left the Swarm, with its label."""
    label = swarm.db_label(release.stack)
    if flags.node_is_gone and not reached.labelled(label):
        return Node("gone", "a node that has left the Swarm", {}, ready=False, address="")
    return only(reached, label)


def _lag(release: Release, reached: Swarm) -> Lag | None:
    try:
        with database_client.client(release, reached) as client:
            return standby_lag.lag(client)
    except Problem:  # it does not answer
        return None


def only(reached: Swarm, label: str) -> Node:
    """The one node of a label; a Problem where there are several, or none."""
    nodes = reached.labelled(label)
    if len(nodes) != 1:
        named = ", ".join(node.name for node in nodes) or "no node"
        raise problem("DEP66.labels", nodes=named, label=label)
    return nodes[0]


def _refuse(facts: Facts, flags: Flags) -> None:
    """Raise where two databases could take writes, or something be lost, and nobody has said so."""
    if not facts.old.ready and not flags.node_is_gone:
        raise problem("DEP66", node=facts.old.name)
    if facts.lag and not facts.received.follows:
        raise problem("DEP66.silent", node=facts.new.name, reason=UNFIT)
    if (
        facts.lag and facts.is_safe and facts.lag.cause
    ):  # the rest would be sent while nobody serves
        raise facts.lag.cause
    if facts.old.ready and not facts.is_safe and not flags.allow_loss:
        raise problem("DEP66.loss", node=facts.new.name)


def _confirm(stack: str, node: str, yes: bool) -> None:
    what = f"stops the database for some seconds, and has the copy on {node} take its place"
    if not consent.by_name(f"This {what}. To continue, type", stack, yes=yes).given:
        raise problem("DEP27", stack=stack, what=what)


def _finish(target: Target, release: Release) -> None:
    """Go on with a promotion whose process was killed: finish it, or undo it."""
    with one_at_a_time("deploy.promote"), one_deploy(release.stack):
        note = handover.find(release.stack)
        if note is None:
            return
        now = swarm.again(target.swarm)
        cut_off = _noted(release, now, note)
        if not note.decided and not _was_promoted(release, now):
            cut_off.go_back()
            console.say("what was cut off is undone; run the command that was cut off again")
            return
        if cut_off.new.id not in {node.id for node in now.nodes}:
            notes = f"{release.stack}_{handover.BEGUN} {release.stack}_{handover.DECIDED}"
            raise problem(
                "DEP66.left", node=cut_off.new.id, command=engine.as_typed(f"config rm {notes}")
            )
        handover.decide(release.stack)
        cut_off.lead()


def _noted(release: Release, reached: Swarm, note: Note) -> Promotion:
    """The promotion that a note is about; its nodes may have left."""
    nodes = {node.id: node for node in reached.nodes}
    old, new = (
        nodes.get(id, Node(id, id, {}, ready=False, address=""))
        for id in (note.facts["old"], note.facts["new"])
    )
    return Promotion(release, reached, old, new, nodes.get(note.facts["then"]), proven=False)


def _was_promoted(release: Release, reached: Swarm) -> bool:
    """Whether the copy was, by somebody who was killed before that was noted. Where the database is
    to run, somebody has gone back before. Of a copy that does not answer it does not matter: nobody
    has written to it, and it is made again."""
    database = swarm_stack.find(release.stack, DATABASE)
    if database and database.replicas:
        return False
    try:
        with database_client.client(_at_standby(release), reached) as client:
            return not standby_lag.received(client).follows
    except Problem:
        return False


def _follows(copy: Client) -> bool:
    try:
        return standby_lag.received(copy).follows
    except (Problem, ValueError):
        return False


def _at_standby(release: Release) -> Release:
    return database_client.at(release, standby.SERVICE)


def _present(reached: Swarm, node: Node) -> Node:
    """The node as it is now; as one that is not ready if it has left the Swarm."""
    found = next((each for each in reached.nodes if each.id == node.id), None)
    return found or Node(node.id, node.name, {}, ready=False, address="")


def _tell(done: Promotion, seconds: float) -> None:
    console.say(f"the site was without a database for {seconds:.0f} s")
    volume = f"the volume {done.stack}_postgres_data"
    if done.old.ready:
        console.say(
            f"{done.old.name} becomes the standby: what it had is put aside there, in {volume}"
        )
    else:
        console.say(
            f"when {done.old.name} is back, it becomes the standby, and what it had is put aside "
            f"there, in {volume}: changes that were only made there are in that alone"
        )
    if archiving.has_one(done.release):
        console.say(GAP)
