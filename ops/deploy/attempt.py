"""A release in the place of another: the database first, then the web; and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops import console, process
from ops.console import few
from ops.data.backups import Backup
from ops.deploy import data, jobs, plan, problems, proxy, releases, stack
from ops.deploy.plan import Plan
from ops.deploy.releases import Release
from ops.deploy.swarm import Swarm
from ops.env import Settings
from ops.problems import Problem

MIGRATE = ("python", "manage.py", "migrate_once")
REASON = "before a deploy"


def make_first(
    release: Release, nodes: Swarm, settings: Settings, *, backup: bool, bears: bool
) -> None:
    """Where nothing serves yet; the database may have been used all the same, by a stack that was
    taken down, or elsewhere. Whether one `bears` migrations that this code cannot run on."""
    try:
        _begin(release)
        if not bears and (ahead := plan.ahead(release, nodes)):
            raise problems.schema_is_ahead(release.number, ahead, "inv deploy")
        if backup:
            data.save_used(settings, release, nodes, REASON)
        _migrate(release)
        releases.keep(release)
        _roll(release, nodes)
    except BaseException as cause:
        _tell(cause, "It is the first release: there is none to go back to.")
        raise


@dataclass
class Attempt:
    """To do what is planned where `before` serves; if it fails, that serves again.

    `saved` is the backup that was made on the way, `filled` whether another database has its rows;
    once it `rolls`, somebody may have written something by the new code.
    """

    found: Plan
    before: Release
    nodes: Swarm
    settings: Settings
    backup: bool
    saved: Backup | None = None
    filled: bool = False
    rolls: bool = False

    @property
    def stops_web(self) -> bool:
        """Whether nothing may be written meanwhile: what the code before cannot run beside is done,
        or rows are taken to another database."""
        moves_rows = self.found.moves and self.backup
        return bool(self.found.migrations.blocking) or moves_rows

    def make(self) -> None:
        if not self.stops_web:
            self._save()
        try:
            self._prepare()
            self.rolls = True
            _roll(self.found.release, self.nodes)
        except BaseException as cause:  # a full disk, Ctrl-C, SIGTERM, a closed terminal
            process.mode.interrupted = False
            _tell(cause, self._go_back())
            raise

    def _save(self) -> None:
        if self.backup and self.found.changes_something:
            there = data.with_its_password(self.before, self.found.release, self.nodes)
            self.saved = data.save(self.settings, there, self.nodes, REASON)

    def _prepare(self) -> None:
        """The database as the release needs it."""
        migrations, release = self.found.migrations, self.found.release
        if self.stops_web:
            self._stop_web()
        data.hand_password_over(self.before, release, self.nodes)
        if self.found.starts_database:
            _begin(release)
        if self.found.moves and self.saved:
            self.filled = data.fill(self.settings, release, self.nodes, self.saved)
        if migrations.unapplied or self.found.starts_database:
            _migrate(release)

    def _stop_web(self) -> None:
        """Saved after that, so that nothing is written in between."""
        releases.note_breaking(self.before.stack, self.found.migrations.blocking)
        stack.scale(self.before.stack, "web", 0)
        stack.wait(self.before.stack, [f"{self.before.stack}_web"])
        self._save()

    def _go_back(self) -> str:
        """How that went, as a sentence."""
        console.say(f"going back to release {self.before.number}")
        aside = self._empty_again() if self.filled else ""
        try:
            data.hand_password_over(self.found.release, self.before, self.nodes)
            if ahead := plan.ahead(self.before, self.nodes):
                if self.rolls or not self._saved_before(ahead):
                    return self._stays(ahead)
                data.restore(self.settings, self.before, self.nodes, self._saved_before(ahead))
            stack.roll(self.before)
        except Problem as another:
            return f"Going back failed as well: {another.what}"
        except OSError as another:
            return f"Going back failed as well: {another}"
        return f"Release {self.before.number} serves.{aside}"

    def _empty_again(self) -> str:
        """Have the other database as it was, for the next deploy; what it holds is kept."""
        try:
            name = data.put_aside(self.settings, self.found.release, self.nodes)
        except Problem as another:
            return f" The rows are still in the other database: {another.what}"
        return f" What the other database held is kept there as {name}."

    def _saved_before(self, ahead: Sequence[str]) -> str:
        """The backup from before these migrations; '' if there is none, or they are older."""
        ours = set(ahead) <= set(self.found.migrations.blocking)
        return self.saved.name if self.saved and ours else ""

    def _stays(self, ahead: Sequence[str]) -> str:
        """What there is to do where only the user can tell which rows are to live on."""
        said = (
            f"The database has {few(ahead)}, which release {self.before.number} cannot run on, so "
            "it was not put back; inv deploy.status shows what runs."
        )
        if name := self._saved_before(ahead):
            said += f" The data of before: inv deploy.restore {name}"
        return said


def _tell(cause: BaseException, outcome: str) -> None:
    """What has become of the stack: as part of the problem, or by itself."""
    if isinstance(cause, Problem):
        cause.what = f"{cause.what.rstrip('.')}. {outcome}"
    else:
        console.say(f"broken off. {outcome}")


def _begin(release: Release) -> None:
    """All but the web, which needs a migrated database."""
    stack.apply(release.with_values(WEB_REPLICAS="0"))
    if release.has_own_database:
        stack.wait(release.stack, [f"{release.stack}_db"])


def _migrate(release: Release) -> None:
    done = jobs.run(release, "migrate", MIGRATE)
    if not done.good:
        raise problems.migration_failed(jobs.last_lines(done.said), done.error)
    console.say(done.said)


def _roll(release: Release, nodes: Swarm) -> None:
    stack.roll(release)
    proxy.refuse_not_ready(release, nodes)
