"""That the database is handed over, to another node or version, noted in the Swarm: who is killed
on the way is followed up."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from djup.deploy.swarm import objects
from djup.problems import problem

BEGUN, DECIDED = "handover", "decided"  # kinds of the two configs
PROMOTE, UPGRADE = "deploy.promote", "deploy.upgrade"
WHAT = {PROMOTE: "a promotion of the standby", UPGRADE: "an upgrade of the database"}


@dataclass(frozen=True)
class Note:
    """Which `task` finishes it, what that has to know of it, and whether it is `decided`: then
    it can only be finished."""

    task: str
    facts: Mapping[str, str]
    decided: bool = False

    def in_words(self) -> str:
        """For who looks at the stack meanwhile."""
        return f"{WHAT[self.task]} was cut off: inv {self.task} finishes it"


def find(stack: str) -> Note | None:
    """The handover that is on its way, or was cut off."""
    entries = objects.read("config", objects.names("config", stack, BEGUN, label=objects.STACK))
    if not entries:
        return None
    kept = json.loads(base64.b64decode(entries[0]["Spec"]["Data"]))
    decided = bool(objects.names("config", stack, DECIDED, label=objects.STACK))
    return Note(kept["task"], kept["facts"], decided)


def begin(stack: str, task: str, facts: Mapping[str, str]) -> None:
    """Note it before anything is stopped."""
    reconsider(stack)
    _create(stack, BEGUN, json.dumps({"task": task, "facts": dict(facts)}))


def decide(stack: str) -> None:
    """Note that from now on it is to be finished, and nothing else."""
    if not objects.names("config", stack, DECIDED, label=objects.STACK):
        _create(stack, DECIDED, "1")


def end(stack: str) -> None:
    """Forget it: it is done, or all is as it was. Half of it, where one is killed here, is none."""
    objects.remove("config", objects.names("config", stack, BEGUN, label=objects.STACK))
    reconsider(stack)


def reconsider(stack: str) -> None:
    """Have nothing be decided, before one goes back."""
    objects.remove("config", objects.names("config", stack, DECIDED, label=objects.STACK))


def refuse_cut_off(stack: str, *, but: str = "") -> None:
    """Raise where one was cut off: what the database is, is not certain until it is finished; not
    where it is the task `but` that finishes it."""
    if (note := find(stack)) and note.task != but:
        raise problem("DEP67", what=WHAT[note.task], stack=stack, task=note.task)


def _create(stack: str, kind: str, text: str) -> None:
    objects.create("config", stack, f"{stack}_{kind}", kind, text, label=objects.STACK)
