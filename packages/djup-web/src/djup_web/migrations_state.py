"""What is known about the migrations of this code and of its database."""

from dataclasses import dataclass, field
from pathlib import Path

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from djup_web import own_code

from . import exits, failures
from .database import reason

Conflicts = dict[str, list[str]]


@dataclass(frozen=True)
class MigrationsState:
    # Still to be applied, in their order.
    waiting: list[Migration] = field(default_factory=list)
    # Applied, says the database, but by other code: this one does not have them.
    unknown: list[str] = field(default_factory=list)
    # App -> its last migrations, where there are several.
    conflicts: Conflicts = field(default_factory=dict)
    # Why they cannot be read or do not fit the database, in a few words.
    broken: str = ""
    # What a start ends with for that: one of exits.py.
    status: int = exits.NOT_MIGRATED
    # In development: the apps whose models have changes that no migration makes.
    unmade: list[str] = field(default_factory=list)
    # How many the database has applied.
    applied: int = field(default=0, compare=False)

    @property
    def unapplied(self) -> list[str]:
        """`waiting` as `app.name`."""
        return [dotted(migration.app_label, migration.name) for migration in self.waiting]

    @property
    def refusal(self) -> str:
        """Why Django would not even begin to migrate; empty if it would."""
        return self.broken or "; ".join(several_last(*item) for item in self.conflicts.items())

    @property
    def obstacle(self) -> str:
        """Why the database does not fit the code; empty if it does."""
        return self.refusal or ("there are migrations to apply" if self.waiting else "")


def read_migrations() -> MigrationsState:
    """The state; a database error is raised, an error in the migrations is part of the state."""
    try:
        return current()
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # Migrations are code: reading them may fail in any way.
        if found := failures.broken(error):
            return MigrationsState(status=found[0], broken=found[1])
        return MigrationsState(broken=f"the migrations cannot be read: {reason(error)}")


def current() -> MigrationsState:
    """The state; any error is raised.

    What is applied is read each time. Where the code never changes, the rest follows from that, and
    is kept: to read the files and build their graph takes longer than to make a page.
    """
    if not getattr(settings, "PRODUCTION", False):
        return load_migrations()
    applied = frozenset(MigrationRecorder(connection).applied_migrations())
    if applied not in known:
        known.clear()
        known[applied] = load_migrations()
    return known[applied]


known: dict[frozenset[tuple[str, str]], MigrationsState] = {}


def load_migrations() -> MigrationsState:
    executor = MigrationExecutor(connection)
    status, broken = inconsistency(executor.loader)
    conflicts = executor.loader.detect_conflicts()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return MigrationsState(
        waiting=[migration for migration, _ in plan],
        unknown=unknown(executor.loader),
        conflicts=dict(sorted(conflicts.items())),
        broken=broken,
        status=status,
        unmade=known_unmade(executor.loader) if settings.DEBUG and not conflicts else [],
        applied=len(executor.loader.applied_migrations or ()),
    )


def known_unmade(loader: MigrationLoader) -> list[str]:
    """The apps with models that `makemigrations` would write something for, looked for once: where
    a model is saved, the development server starts anew."""
    files = frozenset(loader.disk_migrations)
    if files not in unmade_by_files:
        unmade_by_files.clear()
        unmade_by_files[files] = found_unmade(loader)
    return unmade_by_files[files]


def found_unmade(loader: MigrationLoader) -> list[str]:
    try:
        return sorted({*unmade(loader), *never_made(loader)})
    except Exception:  # Models are code: one that cannot be compared may well be served.
        return []


unmade_by_files: dict[frozenset[tuple[str, str]], list[str]] = {}


def unmade(loader: MigrationLoader) -> list[str]:
    """The apps whose models have changes that no migration makes; those of packages are not ours
    to make."""
    to_be = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
    return sorted({app.label for app in ours()} & to_be.changes(graph=loader.graph).keys())


def never_made(loader: MigrationLoader) -> list[str]:
    """The apps that have models and no folder of migrations: Django passes these over, unless they
    are named. Those that shall have none are set to None in MIGRATION_MODULES."""
    without = loader.unmigrated_apps - {k for k, v in settings.MIGRATION_MODULES.items() if not v}
    return [app.label for app in ours() if app.label in without and has_tables(app)]


def has_tables(app: AppConfig) -> bool:
    return any(model._meta.managed and not model._meta.proxy for model in app.get_models())


def ours() -> list[AppConfig]:
    """The apps of this project, rather than of a package."""
    return [app for app in apps.get_app_configs() if own_code.is_own(Path(app.path))]


def unknown(loader: MigrationLoader) -> list[str]:
    """Of the apps that this code has; of others the database may hold whatever it likes."""
    return [dotted(*key) for key in strangers(loader) if key[0] in loader.migrated_apps]


def strangers(loader: MigrationLoader) -> list[tuple[str, str]]:
    """What is applied and not in this code, of whatever app; nothing that it has squashed."""
    squashed = {key for migration in loader.replacements.values() for key in migration.replaces}
    applied = set(loader.applied_migrations or ())
    return sorted(applied - squashed - loader.disk_migrations.keys())


def inconsistency(loader: MigrationLoader) -> tuple[int, str]:
    """Status and words of a history that does not fit; no words where it does."""
    try:
        loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        return failures.broken(error) or (exits.HISTORY, reason(error))
    return exits.NOT_MIGRATED, ""


def several_last(app: str, names: list[str]) -> str:
    count, all_of_them = ("two", "both") if len(names) == 2 else (str(len(names)), "all")
    return f"{count} migrations of {app} are {all_of_them} the last: {', '.join(names)}"


def dotted(app: str, name: str) -> str:
    return f"{app}.{name}"


def what_is_left(failed: Migration) -> str:
    """Of a migration that failed, in words."""
    if failed.atomic and connection.features.can_rollback_ddl:
        return "the database is unchanged"
    return "what it had done before the error stays"
