"""Which migrations can run beside the old code, which reads and writes on meanwhile.

Judged by what Django's own operations do to the database. What cannot be known that way (RunPython,
RunSQL, operations of other packages) blocks, unless the author of the migration says
`beside_old_code = True` in its class.

What no operation tells: a delete by the old code fails where a row that only the new code knows of
refers to the one to go.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import UniqueConstraint

from .migrations_state import dotted
from .widening import Field, has_db_default, why_not_wider

ModelKey = tuple[str, str]  # app label, name in small letters

IN_USE = "the old code still reads and writes it"
UNIQUE = "the old code may write what it forbids, or rely on what it drops"
UNKNOWN = "its effect on the database is unknown"


@dataclass(frozen=True)
class Blocking:
    """An operation that the old code would not bear, and why; `migration` is `app.name`."""

    migration: str
    operation: str
    why: str


@dataclass(frozen=True)
class Change:
    """An operation, and the models before and after it."""

    app: str
    operation: Any
    before: ProjectState
    after: ProjectState

    @property
    def key(self) -> ModelKey:
        """Of the model that it is about, as it is called before."""
        name = getattr(self.operation, "model_name", None) or self.operation.name
        return self.app, name.lower()

    def models(self) -> tuple[Any, Any]:
        return self.before.apps.get_model(*self.key), self.after.apps.get_model(*self.key)

    def field(self, state: ProjectState, name: str = "") -> Field:
        return state.apps.get_model(*self.key)._meta.get_field(name or self.operation.name)

    def reaches_the_database(self) -> bool:
        """Whether the model has a table here: not if it is a proxy, swapped or not managed."""
        state = self.before if self.key in self.before.models else self.after
        model = state.apps.get_model(*self.key)
        return bool(self.operation.allow_migrate_model(connection.alias, model))


def blocking(waiting: Iterable[Migration]) -> list[Blocking]:
    """What among these migrations, in their order, would break the old code or be broken by it."""
    loader = MigrationLoader(connection)
    if not loader.applied_migrations:
        return []  # No code has used this database yet.
    known = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    state, created, found = loader.project_state(known), set[ModelKey](), list[Blocking]()
    for migration in waiting:
        for change in changes(migration.app_label, migration.operations, state):
            if why := "" if declared(migration) else obstacle(change, created):
                name = dotted(migration.app_label, migration.name)
                found.append(Blocking(name, change.operation.describe(), why))
            note(change, created)
        state = migration.mutate_state(state)
    return found


def declared(migration: Migration) -> bool:
    """Whether its author says that it fits."""
    return getattr(migration, "beside_old_code", False) is True


def changes(app: str, them: Iterable[Operation], state: ProjectState) -> Iterator[Change]:
    """Of these operations those that are done to the database."""
    for operation in them:
        after = state.clone()
        operation.state_forwards(app, after)
        if type(operation) is operations.SeparateDatabaseAndState:
            yield from changes(app, operation.database_operations, state)
        else:
            yield Change(app, operation, state, after)
        state = after


def note(change: Change, created: set[ModelKey]) -> None:
    """Keep the models of which only the new code knows."""
    if type(change.operation) is operations.CreateModel:
        created.add(change.key)
    if type(change.operation) is operations.RenameModel and change.key in created:
        created.add((change.app, change.operation.new_name_lower))


def obstacle(change: Change, created: set[ModelKey]) -> str:
    """Why the old code would not bear it; empty if it would."""
    judge = JUDGES.get(type(change.operation), UNKNOWN)
    if judge and type(change.operation) in ON_A_MODEL and not used(change, created):
        return ""
    return judge if isinstance(judge, str) else judge(change)


def used(change: Change, created: set[ModelKey]) -> bool:
    """Whether the old code may have to do with the model."""
    return change.key not in created and change.reaches_the_database()


def added(change: Change) -> str:
    field = change.field(change.after)
    if not field.db_parameters(connection)["type"]:
        return ""  # A many-to-many one has a table of its own.
    if not field.null and not has_db_default(field):
        return "an INSERT of the old code leaves it out, and it has neither NULL nor a db_default"
    if field.unique and has_db_default(field):
        return "rows of the old code would all get the same db_default, and it is unique"
    return ""


def altered(change: Change) -> str:
    return why_not_wider(change.field(change.before), change.field(change.after))


def renamed(change: Change) -> str:
    operation = change.operation
    old = change.field(change.before, operation.old_name).column
    return "" if old and old == change.field(change.after, operation.new_name).column else IN_USE


def moved(change: Change) -> str:
    before, after = change.models()
    return "" if before._meta.db_table == after._meta.db_table else IN_USE


def released(change: Change) -> str:
    constraint = change.before.models[change.key].get_constraint_by_name(change.operation.name)
    # INSERT ... ON CONFLICT, as bulk_create() writes it, fails without what it names.
    return UNIQUE if isinstance(constraint, UniqueConstraint) else ""


# The reason, always the same or by the change; '' is additive. By the very class: what a subclass
# adds is unknown.
Judge = str | Callable[[Change], str]
ON_A_MODEL: dict[type[Operation], Judge] = {
    operations.CreateModel: "",
    operations.DeleteModel: IN_USE,
    operations.RenameModel: IN_USE,
    operations.AlterModelTable: moved,
    operations.AlterModelTableComment: "",
    operations.AlterModelOptions: "",
    operations.AlterModelManagers: "",
    operations.AlterOrderWithRespectTo: "it adds or drops the column _order",
    operations.AlterUniqueTogether: UNIQUE,
    operations.AddField: added,
    operations.AlterField: altered,
    operations.RenameField: renamed,
    operations.RemoveField: IN_USE,
    operations.AddIndex: "",
    operations.RenameIndex: "",
    operations.RemoveIndex: "",
    operations.AddConstraint: "the old code may write what it forbids",
    operations.RemoveConstraint: released,
    postgres.AddIndexConcurrently: "",
    postgres.RemoveIndexConcurrently: "",
    postgres.AddConstraintNotValid: "the old code may write what it forbids",
    postgres.ValidateConstraint: "",  # New rows obey it already.
}
if hasattr(operations, "AlterConstraint"):  # from Django 5.2 on
    ON_A_MODEL[operations.AlterConstraint] = ""
JUDGES: dict[type[Operation], Judge] = {
    **ON_A_MODEL,
    operations.RunPython: lambda change: (
        "" if change.operation.code is operations.RunPython.noop else UNKNOWN
    ),
    operations.RunSQL: lambda change: UNKNOWN if change.operation.sql else "",
    **dict.fromkeys((postgres.CreateExtension, *postgres.CreateExtension.__subclasses__()), ""),
}
