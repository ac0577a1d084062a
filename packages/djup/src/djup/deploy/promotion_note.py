"""That a standby is being promoted, noted in the Swarm: who is killed on the way is followed up."""

import base64
import json
from dataclasses import asdict, dataclass

from djup.deploy.swarm import objects
from djup.problems import problem

BEGUN, PROMOTED = "promotion", "promoted"  # kinds of the two configs


@dataclass(frozen=True)
class Note:
    """From which node to which (their ids) the database goes, where the standby is then to be ('':
    nowhere), and whether the copy has been `promoted`: then there is no way back."""

    old: str
    new: str
    then: str
    promoted: bool = False


def find(stack: str) -> Note | None:
    """The promotion that is on its way, or was cut off."""
    entries = objects.read("config", objects.names("config", stack, BEGUN, label=objects.STACK))
    if not entries:
        return None
    kept = json.loads(base64.b64decode(entries[0]["Spec"]["Data"]))
    promoted = bool(objects.names("config", stack, PROMOTED, label=objects.STACK))
    return Note(kept["old"], kept["new"], kept["then"], promoted)


def begin(stack: str, note: Note) -> None:
    """Note it before anything is stopped."""
    _create(stack, BEGUN, json.dumps(asdict(note)))


def promoted(stack: str) -> None:
    """Note that from now on it is to be finished, and nothing else."""
    if not objects.names("config", stack, PROMOTED, label=objects.STACK):
        _create(stack, PROMOTED, "1")


def end(stack: str) -> None:
    """Forget it: it is done, or all is as it was. Who finds half of it finds a database that is to
    run, and ends the rest."""
    for kind in (PROMOTED, BEGUN):
        objects.remove("config", objects.names("config", stack, kind, label=objects.STACK))


def refuse_cut_off(stack: str) -> None:
    """Raise where a promotion was cut off: which node has the database is not certain until it is
    finished."""
    if find(stack):
        raise problem("DEP67", stack=stack)


def _create(stack: str, kind: str, text: str) -> None:
    objects.create("config", stack, f"{stack}_{kind}", kind, text, label=objects.STACK)
