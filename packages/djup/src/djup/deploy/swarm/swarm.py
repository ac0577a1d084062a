"""The Swarm that a stack goes to: which engine leads there, and which nodes there are.

Whoever calls `lead_to` has every docker command of this task go there, and of this task alone.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from djup.deploy.swarm import ranges
from djup.docker import endpoint, engine, refusals
from djup.host import process
from djup.problems import Problem, documents, problem
from djup.settings.settings import Settings
from djup.terminal import consent, console
from djup.terminal.task import this_task

THIS_MACHINE = "this machine"
ADVERTISE, LOOPBACK = "--advertise-addr", "127.0.0.1"
PATIENCE_SECONDS = 60
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Node:
    """A node of the Swarm: its labels, whether it is there and takes tasks, its memory in bytes."""

    id: str
    name: str
    labels: Mapping[str, str]
    ready: bool
    address: str
    memory: int = 0


@dataclass(frozen=True)
class Swarm:
    """The nodes, and the one that the commands go to."""

    nodes: tuple[Node, ...]
    here: str

    def labelled(self, label: str) -> list[Node]:
        """The nodes that bear a label."""
        return [node for node in self.nodes if node.labels.get(label) == "true"]

    @property
    def memory(self) -> int:
        """What the nodes that take tasks have together, in bytes."""
        return sum(node.memory for node in self.nodes if node.ready)


def lead_to(settings: Settings, context: str, *, local: bool) -> str:
    """Have docker speak to the engine that was asked for; its name for a sentence."""
    this_task.target = _target(settings.stage, context, local=local)
    this_task.deploys = True
    wanted = context or ("" if local else _deploy_to(settings))
    if not wanted:
        return _as_it_is(local)
    this_task.engine = wanted
    return wanted


def _target(stage: str, context: str, *, local: bool) -> str:
    """What was typed to say what a deploy is of, and where."""
    typed = ["--local"] if local else [f"--context {context}"] if context else []
    return " ".join([*typed, *([f"--env {stage}"] if stage else [])])


def _deploy_to(settings: Settings) -> str:
    of_stage = settings.values.get(f"{settings.prefix}DEPLOY_TO") if settings.stage else ""
    return of_stage or settings.values["DEPLOY_TO"]


def _as_it_is(local: bool) -> str:
    chosen_by, host = endpoint.chosen()
    if local and endpoint.is_elsewhere(host):
        raise engine.elsewhere(chosen_by, host)
    if local:
        return THIS_MACHINE
    if chosen := os.environ.get(process.HOST) or os.environ.get(process.CONTEXT):
        return chosen
    if not this_task.has_trial:
        raise problem("DEP01.remote")
    raise problem("DEP01", trial=f"inv {this_task.name} --local")


@dataclass(frozen=True)
class Purpose:
    """What a Swarm that is made is for: the hosts that its containers must reach, whether other
    nodes are to come, and an image that is needed there anyway, to look at the machine from."""

    image: str = ""
    hosts: tuple[str, ...] = ()
    several: bool = False


def again(reached: Swarm) -> Swarm:
    """The same Swarm, as its nodes are now."""
    return Swarm(tuple(_nodes()), reached.here)


def find(where: str, yes: bool, purpose: Purpose | None = None) -> Swarm:
    """The Swarm there; where the engine is in none, it becomes one of a single node if the user
    agrees."""
    state = json.loads(engine.ask("info", "--format", "{{json .Swarm}}", seconds=30))
    engine.refuse_unfit()
    if state["LocalNodeState"] == "inactive":
        _make(where, yes, purpose or Purpose())
        state = json.loads(engine.ask("info", "--format", "{{json .Swarm}}"))
    if not state.get("ControlAvailable"):
        raise problem("DEP04", where=where, state=state["LocalNodeState"])
    return Swarm(tuple(_nodes()), state["NodeID"])


def is_one() -> bool:
    """Whether the engine is in a Swarm at all."""
    state = engine.ask("info", "--format", "{{.Swarm.LocalNodeState}}", seconds=30).strip()
    if state == "inactive":
        engine.refuse_unfit()  # of one that is in a Swarm `find` does
    return state != "inactive"


def _make(where: str, yes: bool, purpose: Purpose) -> None:
    question = f"The engine ({where}) is not in a Swarm. Make it a Swarm of one node?"
    if not consent.by_yes(question, yes=yes):
        raise problem("DEP03", where=where)
    pool = ["--default-addr-pool", ranges.free_pool(purpose.image, purpose.hosts)]
    done = _init([*pool, *([ADVERTISE, LOOPBACK] if where == THIS_MACHINE else [])])
    if done.code and ADVERTISE in done.err:
        done = _init([*pool, ADVERTISE, _address(done.err, purpose, pool)])
    process.stop_if_interrupted(done.code)
    if done.code:
        refusal = refusals.named(done.err)
        raise refusal or problem("DEP24", command="docker swarm init", reason=done.err.strip())
    console.say(
        f"the engine ({where}) is a Swarm of one node now; "
        f"{engine.as_typed('swarm leave --force')} ends that "
        "(then run inv up in each checkout whose stack runs there)"
    )


def _init(flags: Sequence[str]) -> process.Result:
    """What it prints stays here: the invitation for other nodes is a secret."""
    argv = ["docker", "swarm", "init", *flags]
    if not this_task.echo:
        process.show(argv)
    return process.run(argv)


def _address(refusal: str, purpose: Purpose, pool: Sequence[str]) -> str:
    """Which of a machine's addresses its node is to have. While it is alone, any will do; where
    others are to come, only the user knows which one they reach."""
    addresses = list(dict.fromkeys(ranges.written_in(refusal)))
    if purpose.several and addresses:
        words = f"swarm init {' '.join(pool)} {ADVERTISE} ADDRESS"
        raise problem("DEP43", addresses=", ".join(addresses), command=engine.as_typed(words))
    chosen = ranges.best(addresses)
    more = documents.located("docs/how-to/cluster.md#three-nodes")
    console.say(f"the address of the node is {chosen} ({more})")
    return chosen


def patiently(ask: Callable[[], Answer]) -> Answer:
    """The answer to a question, which is asked again for a while: an engine may be busy, and
    managers without a leader, and both well in a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except Problem:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _nodes() -> list[Node]:
    # The engine itself waits that long for a leader.
    ids = engine.ask("node", "ls", "--quiet", seconds=30).split()
    entries = json.loads(engine.ask("node", "inspect", *ids))
    return [_node(entry) for entry in entries]


def _node(entry: dict[str, Any]) -> Node:
    spec, status = entry["Spec"], entry["Status"]
    return Node(
        id=entry["ID"],
        name=entry["Description"]["Hostname"],
        labels=spec.get("Labels") or {},
        ready=status["State"] == "ready" and spec["Availability"] == "active",
        address=status.get("Addr", ""),
        memory=entry["Description"]["Resources"]["MemoryBytes"],
    )


def label(node: str, name: str) -> None:
    """Put a label on a node, by its id."""
    _update(node, ["--label-add", f"{name}=true"])


def relabel(node: Node, *, add: str = "", remove: str = "") -> None:
    """Change the labels of a node at one stroke, as far as they are not so already."""
    added = ["--label-add", f"{add}=true"] if add and node.labels.get(add) != "true" else []
    removed = ["--label-rm", remove] if remove in node.labels else []
    if added or removed:
        _update(node.id, [*added, *removed])


def _update(node: str, words: Sequence[str]) -> None:
    argv = ["docker", "node", "update", *words, node]
    code = process.attach(argv, progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise problem("DEP24", command="docker node update", reason=f"it ended with {code}")


def db_label(stack: str) -> str:
    """The label of the node that has the volume of the database."""
    return f"db.{stack}"


def proxy_label(stack: str) -> str:
    """The label of each node that has a proxy."""
    return f"proxy.{stack}"
