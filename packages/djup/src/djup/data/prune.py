"""`inv db.backups`: the list; `--keep` removes all but the newest of each database.

Nothing else removes a backup.
"""

from collections import Counter

from djup.data import acts, backups
from djup.data.backups import Backup
from djup.host.checkout_lock import one_at_a_time
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.options import number

NEWEST, VERIFIED, NEEDED = "newest", "newest verified", "needed by inv undo"


def run(settings: Settings, keep: str, as_json: bool) -> None:
    """List them, those past the newest `keep` of each database removed first."""
    if keep:
        with one_at_a_time("db.backups"):
            _prune(settings, int(number("--keep", keep, "5")))
    listed = backups.all_of()
    console.answer(backups.as_json(listed) if as_json else backups.as_text(listed))


def _prune(settings: Settings, keep: int) -> None:
    """Remove what no reason keeps, and say what went and why the others stay."""
    listed = backups.all_of()
    kept = reasons(listed, keep, acts.needed(settings.project))
    for backup in listed:
        if backup.name not in kept:
            backup.dump.unlink(missing_ok=True)  # first: a manifest alone is no backup
            if backup.files:
                backup.archive.unlink(missing_ok=True)
            backups.manifest_of(backup.dump).unlink(missing_ok=True)
            console.say(f"removed {backup.name}")
    if kept:
        console.say(f"kept {len(kept)}: {_words([b for b in listed if b.name in kept], kept)}")


def reasons(listed: list[Backup], keep: int, needed: set[str]) -> dict[str, str]:
    """Why each backup that stays does so, by its name; `listed` has the newest first. Each database
    counts by itself, and so does its newest verified one."""
    why: dict[str, str] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for backup in listed:
        whose = (backup.project, backup.database)
        verified = (*whose, VERIFIED) if backup.verified else whose
        seen.update({whose, verified})
        if seen[whose] <= keep:
            why[backup.name] = NEWEST
        elif backup.verified and seen[verified] == 1:
            why[backup.name] = VERIFIED
        elif backup.name in needed:
            why[backup.name] = NEEDED
    return why


def _words(kept: list[Backup], why: dict[str, str]) -> str:
    """`2 newest of app in shop-3f9c, 1 needed by inv undo`."""
    counted = Counter(
        f"{NEWEST} of {backup.database} in {backup.project}"
        if why[backup.name] == NEWEST
        else why[backup.name]
        for backup in kept
    )
    return ", ".join(f"{count} {words}" for words, count in counted.items())
