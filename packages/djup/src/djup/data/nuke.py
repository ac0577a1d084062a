"""`inv nuke`: a backup, the question before anything is removed for good, and the check after."""

from collections.abc import Sequence

from djup.data import acts, backup, backups, databases
from djup.data.backups import Backup
from djup.host import ownership
from djup.host.checkout_lock import one_at_a_time
from djup.problems import Problem, problem
from djup.stack.stack import Stack
from djup.terminal import consent, console
from djup.terminal.task import this_task

Rows = Sequence[tuple[str, str, str]]


def run(stack: Stack, yes: bool, with_backup: bool) -> None:
    """Back up, list what goes, ask for the project's name, remove it, check that it is gone."""
    settings = stack.settings
    with one_at_a_time("nuke"):
        doomed: Rows = stack.inventory()
        if not doomed:
            console.say(
                f"nothing to remove: {settings.project} has no containers, volumes or images"
            )
            _say_what_stays(stack, [])
            return
        refuse_unasked(yes)
        saved = _save(stack, with_backup) if stack.has_data() else []
        confirm(settings.project, [*doomed, *map(_row, saved)], yes)
        if this_task.dry:
            return
        if saved:
            acts.remember(settings.project, "nuke", backups=[made.name for made in saved])
        stack.remove_all()
        check(settings.project, [name for _, name, _ in stack.inventory()])
        _say_what_stays(stack, saved)


def _save(stack: Stack, with_backup: bool) -> list[Backup]:
    """A backup of each database of the server, the project's own first."""
    if this_task.dry:
        return []
    if not with_backup:
        console.say("no backup: the data will be lost permanently")
        return []
    try:
        with stack.client() as client:
            others = databases.besides(client)
            return [backup.make(client, "before nuke", other=other) for other in (None, *others)]
    except (Problem, OSError) as error:
        why = error if isinstance(error, Problem) else ownership.problem_of(error)
        raise problem("BAK16", why=why.what, fix=why.fix) from error


def _row(saved: Backup) -> tuple[str, str, str]:
    held = saved.contents
    files = f", {backups.words_of(saved.files)}" if saved.files else ""
    return ("database", saved.database, f"{console.size(held.bytes)}, {backup.words(held)}{files}")


def refuse_unasked(yes: bool, task: str = "nuke", removes: str = "all of it") -> None:
    """Raise where a question would have nobody to answer it, before anything is done in vain."""
    if not consent.is_possible(yes):
        raise problem("TASK02", task=task, removes=removes)


def confirm(project: str, doomed: Rows, yes: bool, task: str = "nuke") -> None:
    """List what goes (kind, name, size) and have the project's name typed, or raise."""
    console.say(console.table(("WILL BE REMOVED", "NAME", "SIZE"), doomed))
    question = "All data listed here will be removed. To continue, type the name"
    answer = consent.by_name(question, project, yes=yes)
    if not answer.given:
        raise problem("TASK03", typed=repr(answer.typed), task=task)


def check(project: str, left: Sequence[str]) -> None:
    """Say that all is gone, or raise with what is `left`."""
    if left:
        raise problem("TASK04", left=", ".join(left))
    console.say(f"removed {project}; .env and the files of this folder stay")


def _say_what_stays(stack: Stack, saved: Sequence[Backup]) -> None:
    if saved:
        console.say("the data are in backups/; inv undo restores them")
    if not stack.settings.has_own_database:
        console.say(f"the database on {stack.settings.values['SQL_HOST']} was not changed")
    if unused := stack.data_that_stay():
        console.say(
            f"Data that this stack does not use at the moment also stay: {', '.join(unused)}"
        )
