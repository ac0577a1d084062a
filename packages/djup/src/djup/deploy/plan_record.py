"""What `inv deploy --plan --json` prints."""

from collections.abc import Sequence
from dataclasses import dataclass

from djup.deploy import plan
from djup.deploy.plan import Plan


@dataclass(frozen=True)
class Change:
    """A value, or a compose file, that will be another one."""

    what: str
    now: str
    then: str


@dataclass(frozen=True)
class PlanRecord:
    """A plan for programs; of an engine that is in no Swarm only the first four are known.

    `release` is the number of the next release, `before` that of the one that serves (None for a
    first one). `changes_something` is false where a deploy would change nothing, `interruptions`
    are the reasons for which it would be refused without --allow-downtime.
    """

    stack: str
    where: str
    commit: str
    in_swarm: bool
    nodes: int = 0
    release: int | None = None
    before: int | None = None
    changes_something: bool = True
    changes: Sequence[Change] = ()
    new_migrations: Sequence[str] = ()
    interruptions: Sequence[str] = ()
    warnings: Sequence[str] = ()


def of_plan(
    planned: Plan, where: str, nodes: int, migrations: Sequence[str], warnings: Sequence[str]
) -> PlanRecord:
    """The record of a plan; `migrations` are files that the commit adds."""
    release, before = planned.release, planned.before
    return PlanRecord(
        stack=release.stack,
        where=where,
        commit=release.commit,
        in_swarm=True,
        nodes=nodes,
        release=release.number,
        before=before.number if before else None,
        changes_something=planned.changes_something,
        changes=[Change(*row) for row in plan.rows_of(planned)],
        new_migrations=migrations,
        interruptions=planned.interruptions,
        warnings=[*warnings, *plan.warnings(planned)],
    )
