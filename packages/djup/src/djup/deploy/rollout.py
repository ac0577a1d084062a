"""`inv deploy`: facts, the plan shown, decision, act, check again; and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from djup import REQUIREMENTS
from djup.code import requirements
from djup.deploy import (
    archiving,
    edge,
    handover,
    history,
    keeper_image,
    keeping,
    kept_images,
    mail,
    media_nodes,
    pages,
    plan,
    plan_record,
    production,
    reach,
    slots,
    source,
    standby,
    static_files,
    status,
    stored,
    taken_ports,
    transition,
    version_change,
)
from djup.deploy.plan import Migrations, Plan
from djup.deploy.plan_record import PlanRecord
from djup.deploy.production import Production
from djup.deploy.source import Commit
from djup.deploy.stored import Store
from djup.deploy.swarm import jobs, objects, swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.target import Target, find_target
from djup.deploy.transition import Transition
from djup.docker import engine
from djup.host.checkout_lock import one_at_a_time
from djup.keeper.store import Stored
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.console import few
from djup.terminal.task import this_task

EMPTY = "none"  # --from-backup none: a first deploy that begins with an empty database
SECRET = "KEEPER_SECRET"  # another one where the keys are others
BUILT = ("WEB_IMAGE", "KEEPER")  # by us: what no registry has, no node can fetch


@dataclass(frozen=True)
class Flags:
    """The flags of `inv deploy`."""

    context: str
    local: bool
    plan: bool
    allow_downtime: bool
    dirty: bool
    backup: bool
    check: bool
    yes: bool
    json: bool
    from_backup: str = ""

    @property
    def only_shows(self) -> bool:
        """Whether the plan is shown, and nothing done."""
        return self.plan or this_task.dry


@dataclass(frozen=True)
class Deploy:
    """One deploy: how it was called, of what, where to; `notes` are what the plan warns of,
    `restored` is the backup that a first one begins with, `unused` one that it could begin with.
    """

    flags: Flags
    commit: Commit
    wanted: Production
    where: str
    swarm: Swarm
    notes: tuple[str, ...]
    store: Store | None
    restored: str = ""
    unused: str = ""


def run(settings: Settings, flags: Flags) -> None:
    """Deploy what is checked out; or show what that would change."""
    if flags.json and not flags.only_shows:
        raise problem("TASK12")
    where = swarm.lead_to(settings, flags.context, local=flags.local)
    commit = _checked_out(flags)
    missing = _missing_files(flags)
    wanted = _wanted(settings, flags, where)
    if flags.only_shows and not swarm.is_one():
        _show_no_swarm(flags, PlanRecord(wanted.stack, where, commit.id, in_swarm=False))
        return
    reached = swarm.find(where, flags.yes, _purpose(wanted))
    edge.refuse_taken(wanted, reached)
    wanted = edge.joined(wanted, makes=not flags.only_shows)
    if flags.local:
        wanted = _with_present_ports(wanted)
    store = stored.of(settings) if flags.from_backup or not flags.local else None
    notes = _notes(missing, wanted, "" if flags.local else settings.prefix)
    if store and not flags.local:
        notes = (*notes, *keeping.warnings(store.chosen, settings.prefix))
    notes = (*notes, *archiving.warnings(wanted.values, reached, wanted.stack))
    deploy = Deploy(flags, commit, wanted, where, reached, notes, store)
    _refuse(deploy)
    if flags.only_shows:
        _show(deploy)
    else:
        _deploy_alone(deploy)


def _checked_out(flags: Flags) -> Commit:
    commit = source.checked_out()
    if commit.changes and not flags.dirty:
        raise problem("DEP05", changes=few(commit.changes))
    return commit


def _missing_files(flags: Flags) -> list[Problem]:
    """What of the commit is not here; the plan warns of it where --dirty lets it pass."""
    missing = source.lacks()
    if missing and not flags.dirty:
        raise missing[0]
    return missing


def _wanted(settings: Settings, flags: Flags, where: str) -> Production:
    """What `.env` asks for: of a trial, or of production with its own secrets."""
    if flags.local:
        return production.local(settings)
    return production.from_settings(_with_secrets(settings, where, flags.only_shows))


def _purpose(wanted: Production) -> swarm.Purpose:
    hosts = tuple(reach.hosts(wanted))
    return swarm.Purpose(wanted.values["CADDY_IMAGE"], hosts, bool(wanted.registry))


def _with_present_ports(trial: Production) -> Production:
    """A trial keeps the ports that it is served at."""
    serves = history.current(trial.stack)
    return production.with_ports(trial, serves.values if serves else None)


def _deploy_alone(deploy: Deploy) -> None:
    """Deploy while nobody else does, neither from this checkout nor to this stack."""
    with one_at_a_time("deploy"), one_deploy(deploy.wanted.stack):
        handover.refuse_cut_off(deploy.wanted.stack)
        jobs.finish_left(deploy.wanted.stack)
        _deploy(deploy)


def _notes(missing: Sequence[Problem], wanted: Production, prefix: str) -> tuple[str, ...]:
    """What the image will not be as its files ask for, and what it cannot do; `prefix` is what the
    keys of its settings begin with."""
    files = [REQUIREMENTS / name for name in ("base.in", "prod.in")]
    absent = dict.fromkeys(name for file in files for name in requirements.unlocked(file))
    unlocked = (
        f"the locks lack {few([*absent])}, which requirements/ requires: run inv lock, then commit"
    )
    return (
        *(cause.what for cause in missing),
        *([unlocked] if absent else []),
        *mail.lacks(wanted, prefix),
    )


def _with_secrets(settings: Settings, where: str, only_shown: bool) -> Settings:
    """The settings with production's own secrets, which are made for a first deploy alone."""
    missing = production.missing_secrets(settings)
    name = production.stack_name(settings, local=False)
    if missing and swarm.is_one():
        swarm.find(where, yes=False)  # of a worker nothing else can be asked
        if release := history.current(name):
            raise problem("DEP29", stack=name, keys=" and a ".join(missing), by=release.by)
    return production.with_secrets(settings, keep=not only_shown)


def _refuse(deploy: Deploy) -> None:
    """Raise where the stack, or its Swarm, is not one that this can be deployed to."""
    _refuse_strangers(deploy)
    _refuse_nodes_without_registry(deploy)
    _refuse_other_repository(deploy)
    _refuse_several_proxies(deploy)
    _refuse_several(deploy, swarm.db_label(deploy.wanted.stack))
    _refuse_lost_database(deploy)
    for label in (archiving.label, standby.label):
        _refuse_several(deploy, label(deploy.wanted.stack))
    if standby.FILE in deploy.wanted.files:
        standby.refuse_impossible(deploy.wanted.stack, deploy.swarm)
    taken_ports.refuse_taken(deploy.wanted, deploy.swarm)
    reach.refuse_hidden(deploy.wanted)


def _refuse_strangers(deploy: Deploy) -> None:
    if strangers := swarm_stack.strangers(deploy.wanted.stack):
        raise problem("DEP30", stack=deploy.wanted.stack, services=few(strangers))


def _refuse_nodes_without_registry(deploy: Deploy) -> None:
    if len(deploy.swarm.nodes) > 1 and not deploy.wanted.registry:
        raise problem("DEP07", nodes=len(deploy.swarm.nodes))


def _refuse_other_repository(deploy: Deploy) -> None:
    web = swarm_stack.find(deploy.wanted.stack, "web")
    theirs = web.labels.get(swarm_stack.REPOSITORY, "") if web else ""
    if theirs and deploy.commit.repository not in ("", theirs):
        raise problem("DEP08", stack=deploy.wanted.stack)


def _refuse_several_proxies(deploy: Deploy) -> None:
    """Of several proxies, each would ask for a certificate of its own."""
    label = swarm.proxy_label(deploy.wanted.stack)
    proxies = [node.name for node in deploy.swarm.labelled(label)]
    if len(proxies) > 1 and deploy.wanted.values["TLS"] == "acme":
        command = engine.as_typed(f"node update --label-rm {label} {proxies[-1]}")
        raise problem("DEP22", nodes=few(proxies), command=command)


def _refuse_several(deploy: Deploy, label: str) -> None:
    """Raise where a volume that is on one node could be looked for on several."""
    nodes = [node.name for node in deploy.swarm.labelled(label)]
    if len(nodes) > 1:
        command = engine.as_typed(f"node update --label-rm {label} NODE")
        raise problem("DEP26", nodes=few(nodes), label=label, command=command)


def _refuse_lost_database(deploy: Deploy) -> None:
    """Raise where the node of the database has left the Swarm: another has none, or an old one."""
    stack, label = deploy.wanted.stack, swarm.db_label(deploy.wanted.stack)
    if deploy.wanted.has_own_database and not deploy.swarm.labelled(label):
        before = history.current(stack)
        if before and before.has_own_database:
            command = engine.as_typed(f"node update --label-add {label}=true NODE")
            raise problem("DEP69", stack=stack, label=label, command=command)


def _planned(deploy: Deploy, image: str) -> Plan:
    """The plan as far as it is known without asking the new code."""
    kept = history.all_of(deploy.wanted.stack)
    before = history.current(deploy.wanted.stack, kept)
    commit, last = deploy.commit, max((release.number for release in kept), default=0)
    # A shallow clone does not know its repository: it is taken for the one that is there.
    repository = commit.repository or (before.values["REPOSITORY"] if before else "")
    wanted = deploy.wanted.as_release(image, commit.id, repository, last + 1)
    release = swarm_stack.labelled(wanted)
    if before and release.is_like(before):  # another scale is no other version
        release = before.at_scale_of(release)
    elif before:
        release = replace(release, before=before.number)
    return plan.make(before, release, deploy.swarm)


def _show_no_swarm(flags: Flags, record: PlanRecord) -> None:
    fact = f"{record.where} is not in a Swarm: inv deploy creates one, for the first release"
    console.answer(console.as_json(record) if flags.json else console.as_typed(fact))


def _show(deploy: Deploy) -> None:
    planned = _planned(deploy, _image_to_be(deploy))
    migrations = source.new_migrations(planned.before.commit if planned.before else "")
    ignored = _ignored_files(deploy)
    if deploy.flags.json:
        notes, nodes = [*deploy.notes, *ignored], len(deploy.swarm.nodes)
        record = plan_record.of_plan(planned, deploy.where, nodes, migrations, notes)
        console.answer(console.as_json(record))
        return
    console.answer(_as_text(planned, deploy))
    for path in migrations:
        console.answer(f"  new migration: {path}")
    if migrations and not planned.migrations.unapplied:
        console.answer("  whether they interrupt is checked after the image is built")
    for sentence in ignored:
        console.answer(f"  warning: {sentence}")


def _ignored_files(deploy: Deploy) -> list[str]:
    """What there is to say of static files that are named and that the image will lack."""
    if deploy.commit.changes:  # all that lies in the folder gets into the image
        return []
    by = "git ignores: pages that use it answer 500, unless the build of the image creates it"
    return plan.unserved(static_files.left_out(), by)


def _as_text(planned: Plan, deploy: Deploy) -> str:
    return plan.as_text(planned, deploy.where, len(deploy.swarm.nodes), deploy.notes)


def _image_to_be(deploy: Deploy) -> str:
    """The image of the commit, which has no content yet: that of before, if it is the same."""
    tag = source.tag(deploy.wanted, deploy.commit)
    before = history.current(deploy.wanted.stack)
    return before.image if before and source.is_of(before.image, tag) else tag


def _deploy(deploy: Deploy) -> None:
    """Prepare all that changes nothing yet, plan to the end, decide, act."""
    deploy = _with_backup(deploy)
    image = _build(deploy)
    _create_objects(deploy.wanted)
    deploy = replace(deploy, swarm=_label(deploy))
    planned = _planned(deploy, image)
    media_nodes.refuse_apart(planned.release, deploy.swarm)
    _fetch(planned, deploy)
    _refuse_other_version(planned)
    planned = _completed(planned, deploy)
    console.say(_as_text(planned, deploy))
    if not deploy.flags.allow_downtime:
        _refuse_downtime(planned, deploy)
    done = _carry_out(planned, deploy)
    _tidy(done, deploy.swarm)
    status.report(done, local=deploy.flags.local)


def _refuse_other_version(planned: Plan) -> None:
    """Raise where the server would be of another version than the data of the stack's own."""
    if planned.before and _changes_image(planned.before, planned.release):
        version_change.refuse_other(planned.before, planned.release.values["POSTGRES_IMAGE"])


def _changes_image(before: Release, after: Release) -> bool:
    both_own = before.has_own_database and after.has_own_database
    return both_own and before.values["POSTGRES_IMAGE"] != after.values["POSTGRES_IMAGE"]


def _build(deploy: Deploy) -> str:
    """The image, where the nodes can fetch it."""
    image = source.build(deploy.wanted, deploy.commit)
    if deploy.wanted.registry:
        source.push(image)
    if keeper := deploy.wanted.values.get("KEEPER"):
        stack, values = deploy.wanted.stack, deploy.wanted.values
        keeper_image.ensure(keeper, stack, values, push=bool(deploy.wanted.registry))
    return image


def _with_backup(deploy: Deploy) -> Deploy:
    """With what the store of the scheduled backups has for a first deploy."""
    which, before = deploy.flags.from_backup, history.current(deploy.wanted.stack)
    if before and which:
        raise problem("DEP60", stack=deploy.wanted.stack, which=which)
    if deploy.store and which not in ("", EMPTY):
        return replace(deploy, restored=stored.fetched(deploy.store, which).name)
    found = _tried(deploy, before)
    return replace(deploy, unused=found[0].name) if found and not (before or which) else deploy


def _tried(deploy: Deploy, before: Release | None) -> Sequence[Stored]:
    """What the store has, if the release before did not know it by the same keys: with keys that
    do not fit, nothing is deployed."""
    if deploy.store is None or deploy.flags.local or not _can_ask(deploy.store):
        return ()
    if before and before.values.get(SECRET) == deploy.wanted.values.get(SECRET):
        return ()
    return deploy.store.backups()


def _can_ask(store: Store) -> bool:
    return store.is_there and store.is_at_hand


def _create_objects(wanted: Production) -> None:
    for kind, contents in wanted.objects.items():
        objects.make_missing(kind, wanted.stack, contents)


def _refuse_downtime(planned: Plan, deploy: Deploy) -> None:
    _refuse_interruptions(planned, "inv deploy")
    if planned.before:
        kept_images.refuse_no_way_back(planned.before, planned.release, deploy.swarm)


def _carry_out(planned: Plan, deploy: Deploy) -> Plan:
    """Put the release in the place of what serves, if anything does; the plan as it was done."""
    backup, check = deploy.flags.backup, _check(planned, deploy)
    if planned.before:
        return Transition(planned, planned.before, check, backup=backup).make()
    begin = transition.Beginning(deploy.restored, deploy.unused)
    bears = deploy.flags.allow_downtime
    return transition.make_first(planned.release, check, begin, backup=backup, bears=bears)


def _check(planned: Plan, deploy: Deploy) -> pages.Check:
    """The pages to ask for: none where all that answers them stays as it is."""
    other = {"web", "proxy"} & {*planned.anew} or planned.migrations.unapplied or planned.moves
    asks = deploy.flags.check and (planned.before is None or other)
    return pages.Check(deploy.wanted.pages if asks else (), deploy.swarm)


def _completed(planned: Plan, deploy: Deploy) -> Plan:
    """The plan to its end: with what the databases and the new code say, as far as they can yet."""
    if deploy.flags.backup:
        planned = plan.look_at_other(planned, deploy.swarm)
    if planned.before and not planned.starts_database:
        planned = plan.ask_new_code(planned, deploy.swarm)
    return planned


def _label(deploy: Deploy) -> Swarm:
    """Label this node for the database and the proxy, and others for the archive and the standby,
    in a Swarm that has no such node yet."""
    stack, here = deploy.wanted.stack, deploy.swarm.here
    nodes = {swarm.proxy_label(stack): here}
    if deploy.wanted.has_own_database:
        nodes[swarm.db_label(stack)] = here
    if archiving.FILE in deploy.wanted.files:
        nodes[archiving.label(stack)] = archiving.place(stack, deploy.swarm)
    if standby.FILE in deploy.wanted.files and not deploy.swarm.labelled(standby.label(stack)):
        archives = {node.id for node in deploy.swarm.labelled(archiving.label(stack))}
        archives |= {nodes[label] for label in [archiving.label(stack)] if label in nodes}
        nodes[standby.label(stack)] = standby.place(stack, deploy.swarm, archives).id
    missing = {label: node for label, node in nodes.items() if not deploy.swarm.labelled(label)}
    for label, node in missing.items():
        swarm.label(node, label)
    return swarm.find(deploy.where, yes=False) if missing else deploy.swarm


def _fetch(planned: Plan, deploy: Deploy) -> None:
    """Have the nodes fetch each image that is another one now."""
    before = planned.before.values if planned.before else {}
    for key in (*kept_images.KEYS, "KEEPER"):
        image = planned.release.values.get(key, "")
        if image in ("", before.get(key)) or (key in BUILT and not deploy.wanted.registry):
            continue
        done = jobs.fetch(planned.release, image)
        if not done.good:
            raise problem("DEP12", image=image, error=done.error)


def _tidy(done: Plan, reached: Swarm) -> None:
    """End and remove what nobody goes back to; the release serves, whatever comes of this."""
    release = done.release
    try:
        swarm_stack.end_others(release)
        slots.forget(done.before, release, reached)
        releases = history.prune(release)
        source.drop_old(release.stack, [kept.image for kept in releases])
        keepers = [kept.values.get("KEEPER", "") for kept in releases]
        keeper_image.drop_old(release.stack, keepers)
    except Problem as error:
        console.say(f"some old objects could not be removed: {error.what}")


def back(settings: Settings, context: str, *, local: bool, allow_downtime: bool) -> None:
    """Go back to the previous release, at the present scale."""
    target = find_target(settings, context, local=local)
    with one_at_a_time("deploy.rollback"), one_deploy(target.stack):
        handover.refuse_cut_off(target.stack)
        jobs.finish_left(target.stack)
        now = target.release()
        planned = _planned_back(now, target)
        console.say(plan.as_text(planned, target.where, len(target.swarm.nodes)))
        if not allow_downtime:
            _refuse_interruptions(planned, "inv deploy.rollback")
        if this_task.dry:
            return
        unchecked = pages.Check((), target.swarm)  # what it goes back to has served
        done = Transition(planned, now, unchecked, backup=planned.moves).make()
        _tidy(done, target.swarm)
    status.report(done, local=local)


def _planned_back(now: Release, target: Target) -> Plan:
    """The plan of a way back; in a dry run without what only a container could tell."""
    previous = edge.joined_again(_previous(now).at_scale_of(now))
    if not this_task.dry and _changes_image(now, previous):
        previous = version_change.with_its_version(previous, now)
    taken_ports.refuse_taken(previous, target.swarm)
    if this_task.dry:
        return plan.make(now, previous, target.swarm)
    kept_images.refuse_gone(previous, now, target.swarm)
    planned = plan.make(now, previous, target.swarm)
    if planned.moves:
        return plan.look_at_other(planned, target.swarm)
    ahead = plan.ahead(previous, target.swarm, now)
    return replace(planned, migrations=Migrations(ahead=ahead))


def _previous(now: Release) -> Release:
    """The release to go back to: the one before; or `now` itself, if what came after it was killed
    on its way."""
    previous = history.by_number(now.stack, now.before)
    if history.is_unfinished(now.stack):
        previous = now
    if previous is None:
        raise problem("DEP19", stack=now.stack)
    return previous


def _refuse_interruptions(planned: Plan, task: str) -> None:
    if ahead := planned.migrations.ahead:
        raise problem("DEP20", number=planned.release.number, migrations=few(ahead), task=task)
    if planned.interruptions:
        raise problem("DEP13", reasons="; ".join(planned.interruptions), task=task)
