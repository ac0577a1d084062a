"""What can be undone: a note of each act that took something away, and the way back from the last.

The note is written before the act, and looks for what it needs when it is used: of an act that was
killed before it took anything away, there is nothing to bring back.
"""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from djup import STATE
from djup.data import backups, databases, load
from djup.data.backups import Backup
from djup.data.databases import Note
from djup.host.checkout_lock import one_at_a_time
from djup.postgres import contents
from djup.postgres.client import Client
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack import runtimes, volume_clusters
from djup.terminal import console
from djup.terminal.console import age
from djup.terminal.task import this_task

NOTES = STATE / "undo.json"


@dataclass(frozen=True)
class Act:
    """A task that took something away, when (ISO 8601), and where that is kept: as a database of
    the server, as backups, or as another cluster of the volume with the image that it needs; of
    which project, since a folder that was copied has the notes of the original."""

    task: str
    at: str
    database: str = ""
    backups: list[str] = field(default_factory=list)
    cluster: str = ""
    image: str = ""
    project: str = ""


def acts(project: str) -> list[Act]:
    """List what was noted of this project, the latest last."""
    return [act for act in _noted() if act.project in ("", project)]


def _noted() -> list[Act]:
    try:
        return [Act(**record) for record in json.loads(NOTES.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def remember(project: str, task: str, **kept: object) -> None:
    """Note an act that is about to happen."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    act = Act(task, now, project=project, **kept)  # type: ignore[arg-type]
    _write([*_noted(), act])


def forget(act: Act) -> None:
    """Drop the note of an act that was undone, or never came about."""
    _write([other for other in _noted() if other != act])


def needed(project: str) -> set[str]:
    """The backups that alone hold what an act took away."""
    return {name for act in acts(project) for name in act.backups}


def run(settings: Settings) -> None:
    """Bring back what the last act took away; that can be undone in turn."""
    with one_at_a_time("undo"):
        if not (there := acts(settings.project)):
            raise problem("BAK12")
        if this_task.dry:
            console.say(f"would undo: {_words(there[-1])}")
            return
        settings = _undo(settings)
    runtimes.of(settings).up()
    console.answer(settings.url)


def _undo(settings: Settings) -> Settings:
    """The settings, which another cluster changes."""
    act = acts(settings.project)[-1]
    if not act.cluster:  # a server that does not start is no reason not to leave its cluster
        with runtimes.of(settings).client() as client:
            act = _last_kept(client)
            if act.backups:
                _from_backups(client, act)
            elif act.database:
                put_in_place(client, act.database, "undo")
                forget(act)
    if act.cluster:
        settings = _to_cluster(settings, act)
    console.say(f"undone: {_words(act)}")
    return settings


def _to_cluster(settings: Settings, act: Act) -> Settings:
    """Have the cluster that was kept be the one in use; the one that was stays in its place."""
    settings = volume_clusters.finish_switch(settings)
    held = volume_clusters.survey(settings) if volume_clusters.is_there(settings) else None
    if not held or act.cluster not in {one.name for one in held.others if one.finished}:
        forget(act)
        raise problem("BAK13", task=act.task, missing=f"the cluster {act.cluster}")
    image = settings.values[volume_clusters.KEY]
    remember(settings.project, "undo", cluster=held.active.name, image=image)
    settings = volume_clusters.switch(settings, act.cluster, act.image)
    forget(act)
    console.say(
        f"changes since then stay in the cluster {held.active.name} of the volume, until "
        "inv db.upgrade --finish; another inv undo goes back to it"
    )
    return settings


def _last_kept(client: Client) -> Act:
    """The last act whose database is there: one that was ended too early has put none aside, and
    one of the other runtime has it there."""
    there = {one.database for one in databases.beside(client)}
    kept = [act for act in acts(client.project) if not act.database or act.database in there]
    if not kept:
        raise problem("BAK12")
    return kept[-1]


def _words(act: Act) -> str:
    return f"{act.task} of {age(act.at)} ago"


def _from_backups(client: Client, act: Act) -> None:
    """Restore each database that was in the volume; the project's own last."""
    there = {backup.name: backup for backup in backups.all_of()}
    if missing := [name for name in act.backups if name not in there]:
        raise problem("BAK13", task=act.task, missing=", ".join(missing))
    for backup in sorted(
        (there[name] for name in act.backups), key=lambda b: b.database == client.database
    ):
        backups.refuse_damaged(backup)
        with databases.new_part(client) as part:
            load.archive(client, backup.dump, part, backup.contents.bytes)
            _put_back(client, part, backup)
    forget(act)


def _put_back(client: Client, part: str, backup: Backup) -> None:
    if backup.database == client.database:
        put_in_place(client, part, "undo")
    elif backup.note["at"]:
        databases.keep_part(client, part, Note(**backup.note))
    else:  # one of this name may be there again, or still: it is kept
        databases.swap(client, part, kept_note("undo"), backup.database)


def put_in_place(client: Client, part: str, task: str) -> bool:
    """Have `part` be the project's database; whether the one that was is kept for an undo."""
    note = kept_note(task)
    aside = databases.named(client, note.name)
    remember(client.project, task, database=aside)
    databases.swap(client, part, note)
    return keeps(client, aside)


def keeps(client: Client, aside: str) -> bool:
    """Whether there is anything to go back to in the database that was put aside last; one that
    nothing was ever made in, as in a new volume, goes, and so does the note of the act."""
    there = aside in {one.database for one in databases.beside(client)}
    if there and not contents.is_untouched(client, aside):
        return True
    forget(acts(client.project)[-1])
    if there:
        databases.drop(client, aside)
    return False


def kept_note(task: str) -> Note:
    """The note of a database that `task` is about to put aside."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return databases.note_of(f"before-{task}-{moment}-{secrets.token_hex(2)}", f"before {task}")


def _write(acts: list[Act]) -> None:
    part = NOTES.with_name(f"{NOTES.name}.part")
    part.write_text(json.dumps([asdict(act) for act in acts], indent=2) + "\n", encoding="utf-8")
    part.replace(NOTES)
