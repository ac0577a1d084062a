"""What runs where: shown by `inv deploy.status`, and at the end of a deploy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from djup.deploy import (
    archive_lag,
    archiving,
    database_client,
    edge,
    handover,
    history,
    maintenance,
    proxy,
    standby,
    standby_lag,
    stored,
)
from djup.deploy.plan import Plan
from djup.deploy.swarm import swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.swarm.swarm_stack import Service
from djup.deploy.target import find_target
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.console import age

UNFINISHED = "a later deploy was killed: inv deploy finishes it, inv deploy.rollback goes back"


def show(settings: Settings, context: str, *, local: bool, as_json: bool) -> None:
    """What runs where."""
    target = find_target(settings, context, local=local)
    release, services = target.release(), target.services()
    backups, cause = _backups(settings, release)
    followers = _followers(release, target.swarm)
    cause = cause or followers.cause
    if as_json:
        console.answer(console.as_json(_record(release, services, backups, followers)))
        if cause:
            raise cause
        return
    console.answer(_head(release, target.where))
    if history.is_unfinished(release.stack):
        console.answer(console.as_typed(UNFINISHED))
    if note := handover.find(release.stack):
        console.answer(console.as_typed(note.in_words()))
    console.answer(table(services))
    for line in maintenance.reminder(release.stack):
        console.answer(console.as_typed(line))
    if edge.is_behind(release):
        console.answer(edge.in_words(release.stack))
    if backups:
        console.answer(backups["said"])
    for line in followers.lines:
        console.answer(line)
    console.answer(release.url)
    if cause:
        raise cause


def _backups(settings: Settings, release: Release) -> tuple[dict[str, str] | None, Problem | None]:
    """What the store of the scheduled backups says, and what is wrong with them; None where the
    release has none, or `.env` does not say where they are."""
    store = stored.of(settings)
    if not store.is_on or release.stack != store.stack:  # a trial has none
        return None, None
    if "KEEPER" not in release.values:
        error = problem("DEP57.release")
        return {"said": "backups: none", "problem": error.what}, error
    try:
        found = store.backups()
    except Problem as cause:
        return {"said": "backups: unknown", "problem": cause.what}, cause
    late = stored.judged(store, found, datetime.now(UTC))
    said = stored.in_short(found, store)
    return {"said": said, "problem": late.what if late else ""}, late


@dataclass(frozen=True)
class Followers:
    """How far those are that follow the database, None where the release has none, and what is
    wrong with the first of them."""

    archive: archive_lag.Lag | None = None
    standby: standby_lag.Lag | None = None
    cause: Problem | None = None

    @property
    def lines(self) -> list[str]:
        """What there is to say of them."""
        return [lag.in_words() for lag in (self.archive, self.standby) if lag]


def _followers(release: Release, reached: Swarm) -> Followers:
    """As the database says; the rest is shown where it cannot tell."""
    has_archive, has_standby = archiving.has_one(release), standby.has_one(release)
    if not (has_archive or has_standby):
        return Followers()
    try:
        with database_client.client(release, reached) as client:
            archive = archive_lag.lag(client) if has_archive else None
            copy = standby_lag.lag(client) if has_standby else None
    except Problem as cause:
        archive = archive_lag.UNKNOWN if has_archive else None
        return Followers(archive, standby_lag.UNKNOWN if has_standby else None, cause)
    causes = [lag.cause for lag in (archive, copy) if lag]
    return Followers(archive, copy, next(filter(None, causes), None))


def report(done: Plan, *, local: bool) -> None:
    """What runs where, and the URL; on a trial how to trust it; and what is wrong all the same."""
    release = done.release
    console.say(table(swarm_stack.services(release.stack)))
    console.say(f"release {release.number} of {release.stack} serves commit {release.commit}")
    if local and (file := proxy.save_root_certificate(release.stack)):
        console.say(
            f"the certificate is Caddy's own: a browser warns, curl --cacert {file} does not; "
            "inv deploy.down --local ends it"
        )
    if ahead := done.migrations.ahead:
        console.say(
            f"but the database has {console.few(ahead)}: pages that use them fail until the "
            "previous data are restored (inv db.backups, then inv deploy.restore NAME)"
        )
    for line in maintenance.reminder(release.stack):
        console.say(line)
    console.answer(release.url)


def table(services: Sequence[Service]) -> str:
    """Every task that is to run, and the last failed one of a service that has not all."""
    rows = [row for service in services for row in _rows(service)]
    return console.table(("SERVICE", "NODE", "STATE", "SINCE", "IMAGE"), rows)


def _rows(service: Service) -> list[tuple[str, ...]]:
    shown = [task for task in service.tasks if task.wanted == "running"]
    rows: list[tuple[str, ...]] = [
        (task.name, task.node, _state(task.state, task.error), age(task.since), task.image)
        for task in sorted(shown, key=lambda task: task.name)
    ]
    return rows or [(service.name, "", f"0 of {service.replicas}", "", service.image)]


def _state(state: str, error: str) -> str:
    return f"{state}: {error}" if error else state


def _head(release: Release, where: str) -> str:
    at = f"{release.stack} on {where}: release {release.number}"
    before = f", before it {release.before}" if release.before else ""
    made = f"{age(release.created)} ago by {release.by}"
    return f"{at}{before}, commit {release.commit}, {made}"


def _record(
    release: Release,
    services: Sequence[Service],
    backups: dict[str, str] | None,
    followers: Followers,
) -> dict[str, Any]:
    return {
        "stack": release.stack,
        "release": release.number,
        "before": release.before,
        "commit": release.commit,
        "created": release.created,
        "by": release.by,
        "url": release.url,
        "unfinished": history.is_unfinished(release.stack),
        "maintenance": maintenance.noticed(release.stack),
        "services": [asdict(service) for service in services],
        "backups": backups,
        "archive": asdict(followers.archive) if followers.archive else None,
        "standby": asdict(followers.standby) if followers.standby else None,
        "edge": {"others": edge.others(release.stack)} if edge.is_behind(release) else None,
    }
