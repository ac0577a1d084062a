"""`inv db.backups`: the list, and on request all but the newest of them removed."""

from ops import console
from ops.data import backups, undo
from ops.data.backups import Backup
from ops.lock import one_at_a_time
from ops.options import number


def run(keep: str, as_json: bool) -> None:
    """List them, those past the newest `keep` removed first."""
    if keep:
        with one_at_a_time("db.backups"):
            for backup in prune(int(number("--keep", keep, "5"))):
                console.say(f"removed {backup.name}")
    found = backups.all_of()
    console.answer(backups.as_json(found) if as_json else backups.as_text(found))


def prune(keep: int) -> list[Backup]:
    """Remove all but the newest `keep`, never the newest verified one, nor what an undo of the last
    act needs; those that went."""
    there = backups.all_of()
    newest = next((backup.name for backup in there if backup.verified), "")
    safe = {newest, *undo.needed()}
    gone = [backup for backup in there[keep:] if backup.name not in safe]
    for backup in gone:
        backup.dump.unlink(missing_ok=True)  # first: a manifest alone is no backup
        backups.manifest_of(backup.dump).unlink(missing_ok=True)
    return gone
