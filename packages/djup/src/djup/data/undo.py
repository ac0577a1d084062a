"""`inv undo`: the way back from the last task that took something away."""

from djup.data import acts, aside, backups, databases, files, load
from djup.data.acts import Act
from djup.data.backups import Backup
from djup.data.databases import Note
from djup.host.checkout_lock import one_at_a_time
from djup.postgres.client import Client
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack import runtimes, volume_clusters
from djup.terminal import console
from djup.terminal.console import age
from djup.terminal.task import this_task


def run(settings: Settings) -> None:
    """Bring back what the last act took away; that can be undone in turn."""
    with one_at_a_time("undo"):
        if not (noted := acts.noted(settings.project)):
            raise problem("BAK12")
        if this_task.dry:
            console.say(f"would undo: {_words(noted[-1])}")
            return
        settings = _undo(settings)
    runtimes.stack_of(settings).up()
    console.answer(settings.url)


def _undo(settings: Settings) -> Settings:
    """The settings, which another cluster changes."""
    act = acts.noted(settings.project)[-1]
    if not act.cluster:  # a server that does not start is no reason not to leave its cluster
        with runtimes.stack_of(settings).client() as client:
            act = _last_kept(client)
            if act.backups:
                _from_backups(client, act)
            elif act.database:
                aside.put_in_place(client, act.database, "undo", _folder(client, act))
                acts.forget(act)
    if act.cluster:
        settings = _to_cluster(settings, act)
    console.say(f"undone: {_words(act)}")
    return settings


def _to_cluster(settings: Settings, act: Act) -> Settings:
    """Have the cluster that was kept be the one in use; the one that was stays in its place."""
    settings = volume_clusters.finish_switch(settings)
    held = runtimes.stack_of(settings).clusters()
    finished = {cluster.name for cluster in held.others if cluster.finished} if held else set()
    if not held or act.cluster not in finished:
        acts.forget(act)
        raise problem("BAK13", task=act.task, missing=f"the cluster {act.cluster}")
    image = settings.values[volume_clusters.KEY]
    acts.remember(settings.project, "undo", cluster=held.active.name, image=image)
    settings = volume_clusters.switch(settings, act.cluster, act.image)
    acts.forget(act)
    console.say(
        f"changes since then stay in the cluster {held.active.name} of the volume, until "
        "inv db.upgrade --finish; another inv undo goes back to it"
    )
    return settings


def _last_kept(client: Client) -> Act:
    """The last act whose database is there: one that was ended too early has put none aside, and
    one of the other runtime has it there."""
    present = {other.database for other in databases.beside(client)}
    noted = acts.noted(client.project)
    kept = [act for act in noted if not act.database or act.database in present]
    if not kept:
        raise problem("BAK12")
    return kept[-1]


def _folder(client: Client, act: Act) -> str:
    """The folder of the uploads that were put aside with a database; '' if they were not."""
    found = [one for one in databases.beside(client) if one.database == act.database]
    return files.folder_of(client, found[0]) if found else ""


def _words(act: Act) -> str:
    return f"{act.task} of {age(act.at)} ago"


def _from_backups(client: Client, act: Act) -> None:
    """Restore each database that was in the volume; the project's own last."""
    by_name = {backup.name: backup for backup in backups.all_of()}
    if missing := [name for name in act.backups if name not in by_name]:
        raise problem("BAK13", task=act.task, missing=", ".join(missing))
    for backup in sorted(
        (by_name[name] for name in act.backups), key=lambda b: b.database == client.database
    ):
        backups.refuse_damaged(backup)
        with databases.new_part(client) as part:
            load.archive(client, backup.dump, part, backup.contents.bytes)
            with files.unpacked(client, backup) as folder:
                _put_back(client, part, backup, folder)
    acts.forget(act)


def _put_back(client: Client, part: str, backup: Backup, folder: str) -> None:
    if backup.database == client.database:
        aside.put_in_place(client, part, "undo", folder)
    elif backup.note["at"]:
        if folder:
            files.keep(client, backup.note["files"])
        databases.keep_part(client, part, Note(**backup.note))
    else:  # one of this name may be there again, or still: it is kept
        databases.swap(client, part, aside.kept_note("undo"), backup.database)
