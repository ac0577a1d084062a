"""`inv deploy`: facts, the plan shown, decision, act, check again; and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from djup import REQUIREMENTS
from djup.code import requirements
from djup.deploy import (
    deployed,
    history,
    kept_images,
    pages,
    plan,
    production,
    reach,
    source,
    static_files,
    transition,
)
from djup.deploy.plan import Migrations, Plan
from djup.deploy.production import Production
from djup.deploy.source import Commit
from djup.deploy.swarm import jobs, objects, swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.transition import Transition
from djup.docker import engine
from djup.host.checkout_lock import one_at_a_time
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.console import few
from djup.terminal.task import this_task


@dataclass(frozen=True)
class Asked:
    """The flags of `inv deploy`."""

    context: str
    local: bool
    plan: bool
    allow_downtime: bool
    dirty: bool
    backup: bool
    check: bool
    yes: bool


@dataclass(frozen=True)
class Deploy:
    """One deploy: what was asked for, of what, where to; `notes` are what the plan warns of."""

    asked: Asked
    commit: Commit
    wanted: Production
    where: str
    nodes: Swarm
    notes: tuple[str, ...]


def run(settings: Settings, asked: Asked) -> None:
    """Deploy what is checked out; or show what that would change."""
    where = swarm.lead_to(settings, asked.context, local=asked.local)
    commit = source.commit()
    if commit.changes and not asked.dirty:
        raise problem("DEP05", changes=few(commit.changes))
    missing = source.lacks()
    if missing and not asked.dirty:
        raise missing[0]
    only_shown = asked.plan or this_task.dry
    if not asked.local:
        settings = _with_secrets(settings, where, only_shown)
    wanted = production.local(settings) if asked.local else production.of(settings)
    if only_shown and not swarm.is_one():
        fact = f"{where} is not in a Swarm: inv deploy creates one, for the first release"
        console.answer(console.as_typed(fact))
        return
    hosts = tuple(reach.hosts(wanted))
    purpose = swarm.Purpose(wanted.values["CADDY_IMAGE"], hosts, bool(wanted.registry))
    nodes = swarm.find(where, asked.yes, purpose)
    if asked.local:
        serves = history.current(wanted.stack)
        wanted = production.with_ports(wanted, serves.values if serves else None)
    deploy = Deploy(asked, commit, wanted, where, nodes, _notes(missing))
    _refuse(deploy)
    if only_shown:
        _show(deploy)
        return
    with one_at_a_time("deploy"), one_deploy(wanted.stack):
        jobs.finish_left(wanted.stack)
        _deploy(deploy)


def _notes(missing: Sequence[Problem]) -> tuple[str, ...]:
    """What the image will not be as its files ask for."""
    files = [REQUIREMENTS / name for name in ("base.in", "prod.in")]
    absent = dict.fromkeys(name for file in files for name in requirements.unlocked(file))
    unlocked = (
        f"the locks lack {few([*absent])}, which requirements/ requires: run inv lock, then commit"
    )
    return (*(cause.what for cause in missing), *([unlocked] if absent else []))


def _with_secrets(settings: Settings, where: str, only_shown: bool) -> Settings:
    """The settings with production's own secrets, which are made for a first deploy alone."""
    missing = production.missing_secrets(settings)
    name = production.stack_name(settings, local=False)
    if missing and swarm.is_one():
        swarm.find(where, yes=False)  # of a worker nothing else can be asked
        if there := history.current(name):
            raise problem("DEP29", stack=name, keys=" and a ".join(missing), by=there.by)
    return production.with_secrets(settings, keep=not only_shown)


def _refuse(deploy: Deploy) -> None:
    name, nodes = deploy.wanted.stack, deploy.nodes
    if strangers := swarm_stack.strangers(name):
        raise problem("DEP30", stack=name, services=few(strangers))
    if len(nodes.nodes) > 1 and not deploy.wanted.registry:
        raise problem("DEP07", nodes=len(nodes.nodes))
    web = swarm_stack.find(name, "web")
    theirs = web.labels.get(swarm_stack.REPOSITORY, "") if web else ""
    if theirs and deploy.commit.repository not in ("", theirs):
        raise problem("DEP08", stack=name)
    proxies = [node.name for node in nodes.labelled(swarm.proxy_label(name))]
    if len(proxies) > 1 and deploy.wanted.values["TLS"] == "acme":
        words = f"node update --label-rm {swarm.proxy_label(name)} {proxies[-1]}"
        raise problem("DEP22", nodes=few(proxies), command=engine.as_typed(words))
    databases = [node.name for node in nodes.labelled(swarm.db_label(name))]
    if len(databases) > 1:
        words = f"node update --label-rm {swarm.db_label(name)} NODE"
        raise problem("DEP26", nodes=few(databases), command=engine.as_typed(words))
    reach.refuse_hidden(deploy.wanted)


def _planned(deploy: Deploy, image: str) -> Plan:
    """The plan as far as it is known without asking the new code."""
    before = history.current(deploy.wanted.stack)
    commit, last = deploy.commit, history.last_number(deploy.wanted.stack)
    # A shallow clone does not know its repository: it is taken for the one that is there.
    repository = commit.repository or (before.values["REPOSITORY"] if before else "")
    release = deploy.wanted.as_release(image, commit.id, repository, last + 1)
    swarm_stack.refuse_unlabelled(release)
    if before and release.is_like(before):  # another scale is no other version
        release = before.with_values(WEB_REPLICAS=release.values["WEB_REPLICAS"])
    elif before:
        release = replace(release, before=before.number)
    return plan.make(before, release, deploy.nodes)


def _show(deploy: Deploy) -> None:
    found = _planned(deploy, _image_to_be(deploy))
    console.answer(plan.as_text(found, deploy.where, len(deploy.nodes.nodes), deploy.notes))
    for path in source.new_migrations(found.before.commit if found.before else ""):
        console.answer(f"  new migration: {path}")
    if not deploy.commit.changes:  # with changes, all that lies in the folder gets into the image
        by = "git ignores: pages that use it answer 500, unless the build of the image creates it"
        for line in plan.unserved(static_files.left_out(), by):
            console.answer(line)


def _image_to_be(deploy: Deploy) -> str:
    """The image of the commit, which has no content yet: that of before, if it is the same."""
    tag = source.tag(deploy.wanted, deploy.commit)
    before = history.current(deploy.wanted.stack)
    return before.image if before and source.is_of(before.image, tag) else tag


def _deploy(deploy: Deploy) -> None:
    """Prepare all that changes nothing yet, plan to the end, decide, act."""
    image = source.build(deploy.wanted, deploy.commit)
    if deploy.wanted.registry:
        source.push(image)
    for kind, contents in deploy.wanted.objects.items():
        objects.make_missing(kind, deploy.wanted.stack, contents)
    deploy = replace(deploy, nodes=_label(deploy))
    found = _planned(deploy, image)
    _fetch(found, deploy)
    found = _asked(found, deploy)
    console.say(plan.as_text(found, deploy.where, len(deploy.nodes.nodes), deploy.notes))
    if not deploy.asked.allow_downtime:
        _refuse_interruptions(found, "inv deploy")
        if found.before:
            kept_images.refuse_no_way_back(found.before, found.release, deploy.nodes)
    backup, check = deploy.asked.backup, _check(found, deploy)
    if found.before is None:
        bears = deploy.asked.allow_downtime
        done = transition.make_first(found.release, check, backup=backup, bears=bears)
    else:
        done = Transition(found, found.before, check, backup=backup).make()
    _tidy(done.release)
    deployed.finish(done, local=deploy.asked.local)


def _check(found: Plan, deploy: Deploy) -> pages.Check:
    """The pages to ask for: none where all that answers them stays as it is."""
    other = {"web", "proxy"} & {*found.anew} or found.migrations.unapplied or found.moves
    asks = deploy.asked.check and (found.before is None or other)
    return pages.Check(deploy.wanted.pages if asks else (), deploy.nodes)


def _asked(found: Plan, deploy: Deploy) -> Plan:
    """The plan to its end: with what the databases and the new code say, as far as they can yet."""
    if deploy.asked.backup:
        found = plan.look_at_other(found, deploy.nodes)
    if found.before and not found.starts_database:
        found = plan.asked(found, deploy.nodes)
    return found


def _label(deploy: Deploy) -> Swarm:
    """Label this node for the database and the proxy in a Swarm that has no such node yet."""
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
    for key in kept_images.KEYS:
        image = found.release.values.get(key, "")
        if image in ("", before.get(key)) or (key == "WEB_IMAGE" and not deploy.wanted.registry):
            continue
        done = jobs.fetch(found.release, image)
        if not done.good:
            raise problem("DEP12", image=image, error=done.error)


def _tidy(release: Release) -> None:
    """End and remove what nobody goes back to; the release serves, whatever comes of this."""
    try:
        swarm_stack.end_others(release)
        history.prune(release)
        kept = [one.image for one in history.all_of(release.stack)]
        source.drop_old(release.stack, kept)
    except Problem as error:
        console.say(f"some old objects could not be removed: {error.what}")


def back(settings: Settings, context: str, *, local: bool, allow_downtime: bool) -> None:
    """Go back to the release before, at the present scale."""
    at = deployed.target(settings, context, local=local)
    with one_at_a_time("deploy.rollback"), one_deploy(at.stack):
        jobs.finish_left(at.stack)
        now = at.release()
        before = history.by_number(now.stack, now.before)
        if history.is_unfinished(now.stack):  # what is before that one
            before = now
        if before is None:
            raise problem("DEP19", stack=now.stack)
        target = before.with_values(WEB_REPLICAS=now.values["WEB_REPLICAS"])
        if not this_task.dry:
            kept_images.refuse_gone(target, now, at.nodes)
        found = plan.make(now, target, at.nodes)
        if found.moves and not this_task.dry:
            found = plan.look_at_other(found, at.nodes)
        elif not this_task.dry:
            found = replace(found, migrations=Migrations(ahead=plan.ahead(target, at.nodes, now)))
        console.say(plan.as_text(found, at.where, len(at.nodes.nodes)))
        if not allow_downtime:
            _refuse_interruptions(found, "inv deploy.rollback")
        if this_task.dry:
            return
        unchecked = pages.Check((), at.nodes)  # what it goes back to has served
        found = Transition(found, now, unchecked, backup=found.moves).make()
        _tidy(target)
    deployed.finish(found, local=local)


def _refuse_interruptions(found: Plan, task: str) -> None:
    if ahead := found.migrations.ahead:
        raise problem("DEP20", number=found.release.number, migrations=few(ahead), task=task)
    if found.interruptions:
        raise problem("DEP13", reasons="; ".join(found.interruptions), task=task)
