"""`inv deploy`: facts, the plan shown, decision, act, check again; and the way back."""

from dataclasses import dataclass, replace

from ops import console, process
from ops.deploy import (
    data,
    jobs,
    objects,
    plan,
    problems,
    production,
    proxy,
    releases,
    source,
    stack,
    swarm,
    view,
)
from ops.deploy.lock import one_deploy
from ops.deploy.plan import Plan
from ops.deploy.production import Production
from ops.deploy.releases import Release
from ops.deploy.source import Commit
from ops.deploy.swarm import Swarm
from ops.env import Settings
from ops.lock import one_at_a_time
from ops.problems import Problem

MIGRATE = ("python", "manage.py", "migrate_once")
IMAGES = ("WEB_IMAGE", "CADDY_IMAGE", "POSTGRES_IMAGE", "PGBOUNCER_IMAGE")


@dataclass(frozen=True)
class Asked:
    """The flags of `inv deploy`."""

    context: str
    local: bool
    plan: bool
    allow_downtime: bool
    dirty: bool
    backup: bool
    yes: bool


@dataclass(frozen=True)
class Deploy:
    """One deploy: what was asked for, of what, where to."""

    settings: Settings
    asked: Asked
    commit: Commit
    wanted: Production
    where: str
    nodes: Swarm


def run(settings: Settings, asked: Asked) -> None:
    """Deploy what is checked out; or show what that would change."""
    where = swarm.lead_to(settings, asked.context, local=asked.local)
    commit = source.commit()
    if commit.changes and not asked.dirty:
        raise problems.tree_dirty(commit.changes)
    only_shown = asked.plan or process.mode.dry
    wanted = production.local(settings) if asked.local else _production(settings, only_shown)
    if only_shown and not swarm.is_one(where):
        fact = f"{where} is in no Swarm: inv deploy makes it one, for a first release"
        console.answer(console.as_typed(fact))
        return
    nodes = swarm.find(where, asked.yes)
    if asked.local:
        wanted = production.with_ports(wanted, releases.current(wanted.stack))
    deploy = Deploy(settings, asked, commit, wanted, where, nodes)
    _refuse(deploy)
    if only_shown:
        _show(deploy)
        return
    with one_at_a_time("deploy"), one_deploy(wanted.stack):
        _deploy(deploy)


def _production(settings: Settings, only_shown: bool) -> Production:
    """As `.env` asks for it, where production's own secrets are made if they are not there."""
    return production.of(production.with_secrets(settings, keep=not only_shown))


def _refuse(deploy: Deploy) -> None:
    name, nodes = deploy.wanted.stack, deploy.nodes
    if len(nodes.nodes) > 1 and not deploy.wanted.registry:
        raise problems.registry_missing(len(nodes.nodes))
    web = stack.find(name, "web")
    theirs = web.labels.get(stack.REPOSITORY, "") if web else ""
    if theirs and deploy.commit.repository not in ("", theirs):
        raise problems.other_repository(name)
    proxies = [node.name for node in nodes.labelled(swarm.proxy_label(name))]
    if len(proxies) > 1 and deploy.wanted.values["TLS"] == "acme":
        raise problems.acme_on_several_nodes(proxies)
    databases = [node.name for node in nodes.labelled(swarm.db_label(name))]
    if len(databases) > 1:
        raise problems.several_databases(databases)


def _planned(deploy: Deploy, image: str) -> Plan:
    """The plan as far as it is known without asking the new code."""
    before = releases.current(deploy.wanted.stack)
    commit, last = deploy.commit, releases.last_number(deploy.wanted.stack)
    release = releases.new(deploy.wanted, image, commit.id, commit.repository, last + 1)
    if before and release.is_like(before):  # another scale is no other version
        release = before.with_values(WEB_REPLICAS=release.values["WEB_REPLICAS"])
    elif before:
        release = replace(release, before=before.number)
    return plan.make(before, release, deploy.nodes)


def _show(deploy: Deploy) -> None:
    found = _planned(deploy, _image_to_be(deploy))
    console.answer(plan.as_text(found, deploy.where, len(deploy.nodes.nodes)))
    for path in source.new_migrations(found.before.commit if found.before else ""):
        console.answer(f"  new migration: {path}")


def _image_to_be(deploy: Deploy) -> str:
    """The image of the commit, which has no content yet: that of before, if it is the same."""
    tag = source.tag(deploy.wanted, deploy.commit)
    before = releases.current(deploy.wanted.stack)
    return before.image if before and source.is_of(before.image, tag) else tag


def _deploy(deploy: Deploy) -> None:
    """Prepare all that changes nothing yet, plan to the end, decide, act."""
    image = source.build(deploy.settings, deploy.wanted, deploy.commit)
    if deploy.wanted.registry:
        source.push(image)
    objects.make(deploy.wanted)
    deploy = replace(deploy, nodes=_label(deploy))
    found = _planned(deploy, image)
    _fetch(found, deploy)
    if found.before:
        found = _with_migrations(found, deploy.nodes)
    console.say(plan.as_text(found, deploy.where, len(deploy.nodes.nodes)))
    if found.interruptions and not deploy.asked.allow_downtime:
        raise problems.interrupts(found.interruptions)
    _act(found, deploy)
    view.finish(found.release, local=deploy.asked.local)


def _with_migrations(found: Plan, nodes: Swarm) -> Plan:
    """The plan with what the new code says; every later way back depends on it."""
    migrations = plan.migrations(found, nodes)
    breaking = releases.breaking(found.release.stack).union(migrations.blocking)
    release = replace(found.release, breaking=sorted(breaking))
    return replace(found, release=release, migrations=migrations)


def _label(deploy: Deploy) -> Swarm:
    """Of a Swarm in which no node is the database's or the proxy's yet, it is this one."""
    labels = [swarm.proxy_label(deploy.wanted.stack)]
    if deploy.wanted.has_own_database:
        labels.append(swarm.db_label(deploy.wanted.stack))
    for label in labels:
        if not deploy.nodes.labelled(label):
            swarm.label(deploy.nodes.here, label)
    return swarm.find(deploy.where, yes=False)


def _fetch(found: Plan, deploy: Deploy) -> None:
    """Have the nodes fetch each image that is another one now."""
    before = found.before.values if found.before else {}
    for key in IMAGES:
        image = found.release.values.get(key, "")
        if image in ("", before.get(key)) or (key == "WEB_IMAGE" and not deploy.wanted.registry):
            continue
        done = jobs.fetch(found.release, image)
        if not done.good:
            raise problems.image_not_fetched(image, done.error)


def _act(found: Plan, deploy: Deploy) -> None:
    before, release = found.before, found.release
    if before is None:
        _begin(release)
    elif deploy.asked.backup and found.changes_something:
        data.save(deploy.settings, before, deploy.nodes, "before a deploy")
    try:
        if before:
            _make_way(found, before, deploy.nodes)
        if before is None or found.migrations.unapplied:
            migrate(release)
        _apply(release, deploy.nodes)
    except Problem as problem:
        raise _gone_back(before, release, problem, deploy.nodes) from problem
    _keep(release, deploy)


def _begin(release: Release) -> None:
    """Of a first release: all but the web, which needs a migrated database."""
    stack.apply(release.with_values(WEB_REPLICAS="0"))
    if release.has_own_database:
        stack.wait(release.stack, [f"{release.stack}_db"])


def _make_way(found: Plan, before: Release, nodes: Swarm) -> None:
    """For what the code before cannot run beside."""
    if found.migrations.blocking:
        stack.scale(before.stack, "web", 0)
        stack.wait(before.stack, [f"{before.stack}_web"])
    data.hand_password_over(before, found.release, nodes)


def migrate(release: Release) -> None:
    """Apply the migrations of a release, once."""
    done = jobs.run(release, "migrate", MIGRATE)
    if not done.good:
        raise problems.migration_failed(jobs.last_lines(done.said), done.error)
    console.say(done.said)


def _apply(release: Release, nodes: Swarm) -> None:
    stack.roll(release)
    proxy.refuse_not_ready(release, nodes)


def _gone_back(before: Release | None, release: Release, problem: Problem, nodes: Swarm) -> Problem:
    """The problem, after everything is again as it was; it says so."""
    if before is None:
        problem.what += " It is the first release: there is none to go back to."
        return problem
    console.say(f"going back to release {before.number}")
    try:
        data.hand_password_over(release, before, nodes)
        stack.roll(before)
    except Problem as another:
        problem.what += f" Going back failed as well: {another.what}"
        return problem
    problem.what += f" Release {before.number} serves."
    return problem


def _keep(release: Release, deploy: Deploy) -> None:
    """Note what is deployed, and remove what nobody goes back to."""
    releases.keep(release)
    releases.prune(release)
    kept = [one.image for one in releases.all_of(release.stack)]
    source.drop_old(deploy.wanted.image_name, kept)


def back(settings: Settings, context: str, *, local: bool, allow_downtime: bool) -> None:
    """Go back to the release before, at the present scale."""
    where, now, nodes = view.deployed(settings, context, local=local)
    before = releases.by_number(now.stack, now.before)
    if before is None:
        raise problems.nothing_before(now.stack)
    target = before.with_values(WEB_REPLICAS=now.values["WEB_REPLICAS"])
    found = plan.make(now, target, nodes)
    if process.mode.dry:
        console.say(plan.as_text(found, where, len(nodes.nodes)))
        return
    with one_at_a_time("deploy.rollback"), one_deploy(now.stack):
        found = replace(found, migrations=plan.migrations(found, nodes))
        console.say(plan.as_text(found, where, len(nodes.nodes)))
        if found.migrations.ahead and not allow_downtime:
            raise problems.schema_is_ahead(target.number, found.migrations.ahead)
        if found.interruptions and not allow_downtime:
            raise problems.interrupts(found.interruptions)
        try:
            data.hand_password_over(now, target, nodes)
            _apply(target, nodes)
        except Problem as problem:
            raise _gone_back(now, target, problem, nodes) from problem
    view.finish(target, local=local)
