"""A release in the place of another: the database first, then the web; and the way back."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from djup.data.backups import Backup
from djup.data.databases import Note
from djup.deploy import database, edge, history, plan, proxy, slots
from djup.deploy.pages import Check
from djup.deploy.plan import Plan
from djup.deploy.swarm import jobs, swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm, patiently
from djup.host import process
from djup.host.process import ChildFailed
from djup.postgres.sessions import end_session
from djup.problems import Problem, problem
from djup.stack.causes import migrations
from djup.terminal import console, hangup
from djup.terminal.console import few
from djup.terminal.task import this_task

MIGRATE = ("python", "manage.py", "migrate_once")
APPLIED = re.compile(r"Applying (\S+)\.\.\. OK")
REASON = "before a deploy"
STAYS_ELSEWHERE = (
    "Release {} has answered from the other database, where visitors may have written, so it was "
    "not rolled back; inv deploy.status shows what runs. To go back anyway: inv deploy.rollback"
)


@dataclass(frozen=True)
class Beginning:
    """What a first release begins with: a backup that is `restored` before anybody is served; or ''
    where there is none, and the one in the store that is then `unused`."""

    restored: str = ""
    unused: str = ""


def make_first(
    release: Release, check: Check, begin: Beginning, *, backup: bool, bears: bool
) -> Plan:
    """Where nothing serves yet; the database may have been used all the same, by a stack that was
    taken down, or elsewhere. Whether one `bears` migrations that this code cannot run on. Gives the
    plan as it was carried out."""
    try:
        _begin(release)
        if begin.restored:
            database.restore(release, check.swarm, begin.restored)
        elif begin.unused and database.is_empty(release, check.swarm):
            raise problem("DEP61", stack=release.stack, name=begin.unused)
        planned = _ask_first(release, check.swarm, bears=bears)
        if backup:
            database.save_used(release, check.swarm, REASON)
        _migrate(planned)
        with check:
            check.refuse_failing(release, None)
            history.keep(release)
            _roll(release, check)
    except BaseException as cause:
        _tell(cause, "This was the first release: no previous release to go back to.")
        raise
    return planned


def _ask_first(release: Release, swarm: Swarm, *, bears: bool) -> Plan:
    """The plan of a first release, once there is a database that its code can be asked about."""
    planned = plan.ask_new_code(Plan(None, release), swarm)
    if (ahead := planned.migrations.ahead) and not bears:
        raise problem("DEP20", number=release.number, migrations=few(ahead), task="inv deploy")
    for sentence in plan.unserved(planned.lacking, plan.UNSERVED):
        console.say(f"warning: {sentence}")
    return planned


@dataclass
class Transition:
    """To do what is planned where `before` serves; if it fails, that serves again.

    `saved` is the backup that was made on the way; `empty` the note of a database that had no table
    and was put aside for another with the rows of `saved`; `borne` are the migrations that `before`
    already served beside, though it could not bear them. Once it `rolls`, somebody may have written
    something by the new code.
    """

    plan: Plan
    before: Release
    check: Check
    backup: bool
    saved: Backup | None = None
    empty: Note | None = None
    borne: Collection[str] = ()
    rolls: bool = False

    @property
    def swarm(self) -> Swarm:
        """The Swarm that the stack runs on."""
        return self.check.swarm

    @property
    def stops_web(self) -> bool:
        """Whether nothing may be written meanwhile: what the code before cannot run beside is done,
        or rows are taken to another database."""
        moves_rows = self.plan.moves and self.backup
        return bool(self.plan.migrations.blocking) or moves_rows

    def make(self) -> Plan:
        """Carry the plan out, and give it as it was in the end."""
        self.borne = self._ahead() if not history.is_unfinished(self.before.stack) else ()
        if not self.stops_web:
            self._save()
        try:
            self._prepare()
            with self.check:
                self.check.refuse_failing(self.plan.release, self.before)
                self.rolls = True
                _roll(self.plan.release, self.check)
            history.keep(self.plan.release)
        except BaseException as cause:  # a full disk, Ctrl-C, SIGTERM, a closed terminal
            with process.unbroken():
                _tell(cause, self._go_back())
            raise
        return self.plan

    def _save(self) -> None:
        if self.backup and self.plan.changes_something:
            release = database.with_its_password(self.before, self.plan.release, self.swarm)
            self.saved = database.save(release, self.swarm, REASON)

    def _prepare(self) -> None:
        """The database as the release needs it."""
        if self.stops_web:
            self._stop_code()
        database.hand_password_over(self.before, self.plan.release, self.swarm)
        if self.plan.starts_database:
            _begin(self.plan.release)
        if self.plan.moves:
            self._take_rows_along()
            self.plan = plan.ask_new_code(self.plan, self.swarm)  # of the rows that it has now
        _migrate(self.plan)

    def _stop_code(self) -> None:
        """Stop all that runs the project's code, then save, so that nothing is written in between:
        a worker and a schedule write, too."""
        self.check.look_at_before(self.before)
        stack, image = self.before.stack, self.before.image
        ours = [s.name for s in swarm_stack.declared(stack) if s.image == image and s.replicas]
        for name in ours:
            swarm_stack.scale(stack, name.removeprefix(f"{stack}_"), 0)
        swarm_stack.wait(stack, ours)
        self._save()

    def _take_rows_along(self) -> None:
        """Copy the rows into the other database, if that has no table."""
        if not self.saved:
            return
        if not database.is_empty(self.plan.release, self.swarm):
            console.say(
                "the other database has tables, and is not changed; the rows of the previous one: "
                f"inv deploy.restore {self.saved.name}"
            )
            return
        self.empty = database.note_of_aside()
        database.fill(self.plan.release, self.swarm, self.saved, self.empty)

    def _ahead(self) -> Sequence[str]:
        """What the release before cannot run on; another database than its own is none to it."""
        return () if self.plan.moves else plan.ahead(self.before, self.swarm)

    def _go_back(self) -> str:
        """Restore the previous release; a sentence on how that went."""
        this_task.interrupted = False
        try:
            console.say(f"going back to release {self.before.number}")
        except OSError:  # who read our words is gone, or their disk is full
            hangup.let_go(1, 2)
        try:
            return patiently(self._put_back)
        except Problem as another:
            return f"Going back failed, too: {another.what}"
        except (OSError, ChildFailed) as another:
            return f"Going back failed, too: {another}"

    def _put_back(self) -> str:
        if self.plan.moves and self.rolls and swarm_stack.serves(self.before.stack):
            return STAYS_ELSEWHERE.format(self.plan.release.number)
        database.hand_password_over(self.plan.release, self.before, self.swarm)
        if ahead := [name for name in self._ahead() if name not in self.borne]:
            if self.rolls or not self._saved_before(ahead):
                return self._stays(ahead)
            database.restore(self.before, self.swarm, self._saved_before(ahead))
        edge.prepare(self.before, self.swarm)
        swarm_stack.roll(self.before)
        edge.settle(self.before)
        aside = self._empty_again()
        swarm_stack.end_others(self.before)
        slots.forget(self.plan.release, self.before, self.swarm)
        return f"Release {self.before.number} is running again.{aside}"

    def _empty_again(self) -> str:
        """Have the other database as it was, for the next deploy; what it holds is kept."""
        if not self.empty:
            return ""
        try:
            name = database.empty_again(self.plan.release, self.swarm, self.empty)
        except Problem as another:
            return f" The rows are still in the other database: {another.what}"
        return f" The contents of the other database are kept there as {name}." if name else ""

    def _saved_before(self, ahead: Sequence[str]) -> str:
        """The backup from before these migrations; '' if there is none, or they are older."""
        ours = set(ahead) <= set(self.plan.migrations.blocking)
        return self.saved.name if self.saved and ours else ""

    def _stays(self, ahead: Sequence[str]) -> str:
        """What there is to do where only the user can tell which rows are to live on."""
        said = (
            f"The database has {few(ahead)}, which release {self.before.number} cannot run on, so "
            "it was not restored; inv deploy.status shows what runs."
        )
        if name := self._saved_before(ahead):
            said += f" To restore the previous data: inv deploy.restore {name}"
        return said


def _tell(cause: BaseException, outcome: str) -> None:
    """What has become of the stack: as part of the problem, or by itself."""
    if isinstance(cause, Problem):
        cause.what = f"{cause.what.rstrip('.')}. {outcome}"
    else:
        console.say(f"interrupted. {outcome}")


def _begin(release: Release) -> None:
    """Start all but the web, which needs a migrated database, and the keeper, which needs rows."""
    swarm_stack.apply(release.with_values(WEB_REPLICAS="0", KEEPER_REPLICAS="0"))
    if release.has_own_database:
        swarm_stack.wait(release.stack, [f"{release.stack}_db"])


def _migrate(planned: Plan) -> None:
    """Migrate; what the previous code cannot bear is noted first, for every later way back."""
    if not planned.migrations.unapplied:
        return
    history.note_breaking(planned.release.stack, planned.migrations.blocking)
    done = jobs.run(planned.release, "migrate", MIGRATE)
    if not done.good:
        raise _failed(done)
    console.say(done.said)


def _failed(done: jobs.Outcome) -> Problem:
    """The problem, by the status and the last sentence of a migration that failed."""
    lines, status = done.said.strip().splitlines(), re.search(r"exit \((\d+)\)", done.error)
    sentence, code = migrations.plain(lines[-1]) if lines else "", int(status[1]) if status else 0
    if code == migrations.LOCKED:
        ends = end_session(migrations.sessions(sentence), "inv deploy.psql")
        return problem("DEP38", sentence=sentence, end_session=ends)
    shown, applied = jobs.last_lines(done.said), APPLIED.findall(done.said)
    before = f" Applied before it: {few(applied)}." if applied else ""
    if fix := migrations.fix_of(code, sentence):
        return problem("DEP14.named", shown, error=done.error, before=before, fix=fix)
    return problem("DEP14", shown, error=done.error, before=before)


def _roll(release: Release, check: Check) -> None:
    edge.prepare(release, check.swarm)
    swarm_stack.roll(release)
    proxy.refuse_not_ready(release, check)
    edge.settle(release)
