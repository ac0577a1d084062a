"""`inv deploy.upgrade`: production's own database to another version of PostgreSQL, and back."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from djup.checkout import env_file
from djup.deploy import (
    archiving,
    database_client,
    database_volume,
    handover,
    history,
    keeper_image,
    production,
    standby,
    version_change,
)
from djup.deploy.handover import UPGRADE
from djup.deploy.promotion import GAP, only
from djup.deploy.swarm import jobs, swarm
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.target import Target, find_target
from djup.deploy.version_change import IMAGE, KEEPER, VersionChange
from djup.docker import base_images
from djup.host.checkout_lock import one_at_a_time
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack.volume_clusters import Cluster, Held
from djup.terminal import consent, console, options
from djup.terminal.task import this_task

TRANSFERS_STATISTICS = 18  # pg_upgrade, of all but the extended ones
EXTENSIONS = """
select format('alter extension %I update', e.extname)
from pg_extension e join pg_available_extensions a on a.name = e.extname
where a.default_version <> e.extversion \\gexec"""
DATABASES = "select datname from pg_database where datallowconn"
LOST = "what is written since the upgrade is not in them"


@dataclass(frozen=True)
class Flags:
    """The flags of `inv deploy.upgrade`: the version; to go back; to remove what is kept for that;
    that nobody is asked."""

    to: str = ""
    back: bool = False
    finish: bool = False
    yes: bool = False


def run(settings: Settings, context: str, flags: Flags) -> None:
    """Upgrade the database, go back, or remove what was kept; or finish what was cut off."""
    if flags.to:
        options.number("--to", flags.to, "18")
    target = find_target(settings, context, local=False)
    release = target.release()
    if not release.has_own_database:
        raise problem("DEP77.managed", host=release.values["DATABASE_HOST"])
    if this_task.dry:
        console.say(f"would {_in_short(flags)} of {release.stack}")
        return
    handover.refuse_cut_off(release.stack, but=UPGRADE)
    if handover.find(release.stack):
        _resume(settings, target)
        return
    if "/active" not in release.files["db.yaml"]:
        raise problem(
            "DEP77", reason="what serves was deployed by an old djup: run inv deploy first"
        )
    only(target.swarm, swarm.db_label(release.stack))
    held = database_volume.survey(release)
    if flags.finish:
        _finish(target, release, held, flags)
    elif flags.back:
        _go_back(settings, target, held, flags)
    else:
        _upgrade(settings, target, held, flags)


def _in_short(flags: Flags) -> str:
    """What the flags ask for, as far as it is known without looking."""
    if flags.finish:
        return "remove the data of previous versions"
    if flags.back:
        return "go back to the version before of the database"
    return f"upgrade the database {f'to PostgreSQL {flags.to}' if flags.to else ''}".rstrip()


def _upgrade(settings: Settings, target: Target, held: Held, flags: Flags) -> None:
    release = target.release()
    if flags.to and int(flags.to) < (found := int(held.active.version)):
        raise problem("DEP78.asked", found=found, to=flags.to)
    image = database_volume.image(release, _image(settings, held, flags.to))
    if not _is_newer(image, held, flags.to):
        newer = f"inv {UPGRADE} --to {image.major + 1}"
        console.say(
            f"nothing to upgrade: the data are of PostgreSQL {image.major}, as {image.name}"
        )
        console.say(f"a newer version, once it has an image: {newer}")
        return
    _confirm(
        release, f"and upgrades it from PostgreSQL {held.active.version} to {image.major}", flags
    )

    def act(change: VersionChange) -> float:
        return change.upgrade(held.active)

    _change(settings, target, held, held.free_name(str(image.major)), image.name, act)
    _look_after(target, image.major)
    console.say(
        f"upgraded; the previous data stay in the cluster {held.active.name} of the volume: "
        f"inv {UPGRADE} --back goes back to them ({LOST}), inv {UPGRADE} --finish removes them"
    )


def _image(settings: Settings, held: Held, to: str) -> str:
    """The image that is asked for: that of `.env`, or its like of version `to`."""
    named = production.values_of(settings)[IMAGE]
    if not to or to == held.active.version:
        return named
    return base_images.of_major(named, held.active.version, to) or named


def _is_newer(image: database_volume.Image, held: Held, to: str) -> bool:
    """Whether an image is of a later version; raises where the data cannot go there."""
    if to and image.major != int(to):
        raise problem("DEP77.image", image=image.name, major=image.major, to=to)
    if image.major < int(held.active.version):
        raise problem("DEP78", found=held.active.version, image=image.name, major=image.major)
    if held.active.system and image.system != held.active.system:
        was = f"{held.active.system}, {image.name} is {image.system}"
        raise problem("DEP77", reason=f"the data were written on {was}")
    return image.major > int(held.active.version)


def _go_back(settings: Settings, target: Target, held: Held, flags: Flags) -> None:
    release = target.release()
    kept = [each for each in held.others if each.finished and each.image and not each.is_copy]
    older = [each for each in kept if int(each.version) < int(held.active.version)]
    if not older:
        raise problem("DEP77.none", cluster=held.active.name)
    chosen = older[-1]
    what = f"and goes back to the data of PostgreSQL {chosen.version}: {LOST}"
    _confirm(release, what, flags)
    _change(settings, target, held, chosen.name, chosen.image, VersionChange.exchange)
    console.say(
        f"the data of PostgreSQL {held.active.version} stay in the volume, in {held.active.name}"
    )


def _change(
    settings: Settings,
    target: Target,
    held: Held,
    new: str,
    image: str,
    act: Callable[[VersionChange], float],
) -> None:
    """From the cluster in use to another one, alone; and `.env` names its image."""
    stack = target.stack
    with one_at_a_time(UPGRADE), one_deploy(stack):
        handover.refuse_cut_off(stack)
        jobs.finish_left(stack)
        before = target.release()
        _refuse_changed(before, held)
        after = _after(settings, before, image)
        seconds = act(
            VersionChange(before, after, swarm.again(target.swarm), held.active.name, new)
        )
        _write_image(settings, image)
    console.say(f"the site was without a database for at most {seconds:.0f} s")
    if archiving.has_one(after):
        console.say(GAP)


def _refuse_changed(release: Release, held: Held) -> None:
    """Raise where the clusters are others than those that were confirmed."""
    now = database_volume.survey(release)
    if _names(now) != _names(held):
        raise problem("DEP66.changed")


def _names(held: Held) -> list[str]:
    return [held.active.name, *(cluster.name for cluster in held.others)]


def _after(settings: Settings, before: Release, image: str) -> Release:
    """The release of the same code with another version of PostgreSQL."""
    chosen = {**production.values_of(settings), IMAGE: image}
    values = {IMAGE: image}
    if KEEPER in before.values:
        values[KEEPER] = keeper_image.name(before.stack, chosen)
        given, push = {**before.values, **values}, bool(chosen["REGISTRY"])
        keeper_image.ensure(values[KEEPER], before.stack, given, push=push)
    number = 1 + max(release.number for release in history.all_of(before.stack))
    return replace(
        before.with_values(**values),
        number=number,
        created=production.created_now(),
        by=production.created_by(),
    )


def _write_image(settings: Settings, image: str) -> None:
    """Have the next deploy ask for the version that the data have."""
    if production.values_of(settings)[IMAGE] == image:
        return
    key = f"{settings.prefix}{IMAGE}"
    env_file.write_values({key: image})
    console.say(f"{key}={image} is now in .env. Whoever else deploys needs this line, too")


def _look_after(target: Target, major: int) -> None:
    """What a new cluster lacks, while it serves: statistics, and extensions as it has them."""
    stages = ["--analyze-in-stages"] + ["--missing-stats-only"] * (major >= TRANSFERS_STATISTICS)
    console.say("analyzing the tables ...")
    try:
        with database_client.client(target.release(), target.swarm) as client:
            for database in client.ask(DATABASES, client.database).splitlines():
                client.ask(EXTENSIONS, database)
            done = client.run("vacuumdb", "--all", "--quiet", *stages)
    except Problem as cause:
        console.say(f"warning: extensions or statistics are as before: {cause.what}")
        return
    if done.code:
        console.say(f"warning: the tables were not all analyzed: {done.err.strip()}")


def _resume(settings: Settings, target: Target) -> None:
    """Go on with an upgrade whose process was killed: finish it, or undo it."""
    with one_at_a_time(UPGRADE), one_deploy(target.stack):
        note = handover.find(target.stack)
        if note is None:
            return
        jobs.finish_left(target.stack)  # what the killed task had begun ends first
        change = version_change.cut_off(note, target.release(), swarm.again(target.swarm))
        if not note.decided:
            change.go_back()
            console.say("what was cut off is undone; run the command that was cut off again")
            return
        change.lead()
        _write_image(settings, change.after.values[IMAGE])
    console.say(f"the database runs on {change.after.values[IMAGE]}")


def _finish(target: Target, release: Release, held: Held, flags: Flags) -> None:
    """Remove the clusters that are not in use, here and on the node of the standby."""
    found = {swarm.db_label(release.stack): held}
    label = standby.label(release.stack)
    if standby.has_one(release) and target.swarm.labelled(label):
        found[label] = database_volume.survey(release, label)
    doomed = {label: each.others for label, each in found.items() if each.others}
    if not doomed:
        console.say(f"nothing to remove: the cluster {held.active.name} is the only one")
        return
    for label, clusters in doomed.items():
        node = only(target.swarm, label).name
        console.say("\n".join(f"{node}: {_in_words(cluster)}" for cluster in clusters))
    question = "These are removed permanently. To continue, type"
    if not consent.by_name(question, release.stack, yes=flags.yes).given:
        raise problem("DEP27", stack=release.stack, what="removes the data of previous versions")
    with one_at_a_time(UPGRADE), one_deploy(release.stack):
        handover.refuse_cut_off(release.stack)
        _refuse_changed(release, held)
        for label, clusters in doomed.items():
            database_volume.remove(release, label, [cluster.name for cluster in clusters])
    console.say(f"the cluster {held.active.name} (PostgreSQL {held.active.version}) stays")


def _in_words(cluster: Cluster) -> str:
    return f"{cluster.name}, PostgreSQL {cluster.version or '?'}, {cluster.size}"


def _confirm(release: Release, what: str, flags: Flags) -> None:
    said = f"stops the database for some seconds, {what}"
    if not consent.by_name(f"This {said}. To continue, type", release.stack, yes=flags.yes).given:
        raise problem("DEP27", stack=release.stack, what=said)
