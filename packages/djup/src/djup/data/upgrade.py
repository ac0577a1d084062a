"""`inv db.upgrade`: the data into a cluster of another PostgreSQL, beside the one in use.

The old server dumps while the new one restores; what is there afterwards is compared; then the file
`active` in the volume names the new cluster. Until then the old one is in use, as it was.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO

from djup.data import acts, new_server, nuke, restore
from djup.data.new_server import NewServer
from djup.docker import base_images, containers, engine, resources
from djup.docker.containers import Container
from djup.host import process
from djup.host.checkout_lock import one_at_a_time
from djup.host.process import Result
from djup.postgres import contents
from djup.postgres.client import MAINTENANCE, Client, last_error
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack import images, runtimes, volume_clusters
from djup.stack.volume_clusters import KEY, Cluster, Held
from djup.terminal import console, options
from djup.terminal.progress import bar
from djup.terminal.task import this_task

FINISH = "db.upgrade --finish"
SYSTEM = ". /etc/os-release && echo $ID"
# In the order in which they were made, which is that of the snapshots' ages.
FACTS = r"""
\getenv live PGDATABASE_OF_THE_PROJECT
SELECT json_build_object(
  'role', (SELECT quote_ident(rolname) FROM pg_roles WHERE oid = 10),
  'bytes', sum(pg_database_size(oid)),
  'databases', array_agg(datname::text ORDER BY oid) FILTER (WHERE datallowconn),
  'closed', array_agg(datname::text) FILTER (WHERE NOT datallowconn))
FROM pg_database
WHERE datname <> 'template0' AND NOT starts_with(datname, :'live' || '@part-');
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \g /dev/null
"""
OLD_ONE = "--host=127.0.0.1"  # as seen from the new server's container, which is at its socket
SQL = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")


@dataclass(frozen=True)
class Upgrade:
    """From which cluster and image to which; `left` are those that killed upgrades have left."""

    old: Cluster
    image: str
    major: str
    name: str
    left: list[str]

    @property
    def words(self) -> str:
        return f"PostgreSQL {self.old.version} ({self.old.image}) to {self.major} ({self.image})"


@dataclass(frozen=True)
class ServerFacts:
    """What the old server holds: the role that made it, as SQL spells it; the size in bytes; the
    databases; those that let nobody in."""

    role: str
    bytes: int
    databases: list[str]
    closed: list[str] | None


def run(settings: Settings, to: str, finish: bool, yes: bool) -> None:
    """Upgrade, or remove what upgrades have left; then the stack is up."""
    if not settings.has_own_database:
        raise problem("DB12", host=settings.values["SQL_HOST"])
    if version := runtimes.stack_of(settings).fixed_version():
        what = f"the wheel and the data are both of PostgreSQL {version}"
        console.say(f"nothing to upgrade: {what}")
        return
    with one_at_a_time("db.upgrade"):
        before, settings = settings, volume_clusters.finish_switch(settings)
        if not volume_clusters.is_there(settings):
            console.say("nothing to upgrade: the volume does not exist yet; inv up creates it")
            return
        if finish:
            _finish(settings, yes)
            return
        plan = _plan(settings, options.number("--to", to, "18") if to else "")
        if plan and not this_task.dry:
            settings = _upgrade(settings, plan)
    if settings is not before:
        runtimes.stack_of(settings).up()
        console.answer(settings.url)


def _finish(settings: Settings, yes: bool) -> None:
    """Remove every cluster that is not in use, after the question."""
    held = volume_clusters.survey(settings)
    if not held.others:
        console.say(f"nothing to remove: the cluster {held.active.name} is the only one")
        return
    rows = [
        ("cluster", f"{cluster.name} (PostgreSQL {cluster.version}, {cluster.image})", cluster.size)
        for cluster in held.others
    ]
    nuke.refuse_unasked(yes, FINISH, "the data that inv undo needs")
    nuke.confirm(settings.project, rows, yes, FINISH)
    if this_task.dry:
        return
    gone = [cluster.name for cluster in held.others]
    for act in acts.noted(settings.project):
        if act.cluster in gone:
            acts.forget(act)
    volume_clusters.remove(settings, gone)
    console.say(f"the cluster {held.active.name} (PostgreSQL {held.active.version}) stays")


# What is to be done


def _plan(settings: Settings, to: str) -> Upgrade | None:
    """What to do; None, and a sentence, where there is nothing."""
    held = volume_clusters.survey(settings)
    version = held.active.version
    if to:  # no image is needed to know
        _refuse_older(settings, held, f"--to {to}", to, asked=True)
    target = settings.with_values({KEY: _target(settings, to, version)})
    image, by_name = target.values[KEY], target.values[KEY] != settings.values[KEY]
    major = _major(target, f"--to {to}" if by_name else "")
    if not major:
        console.say(f"would pull {image}, and migrate the data from PostgreSQL {version} to it")
        return None
    _refuse_older(settings, held, image, major, asked=False)
    old = replace(held.active, image=_image_of(settings, held.active, image, major))
    if major == old.version and (not old.system or _system(image) == old.system):
        _say_nothing_to_upgrade(image, major)
        return None
    left = [cluster.name for cluster in held.others if not cluster.finished]
    plan = Upgrade(old, image, major, held.free_name(major), left)
    console.say(f"{'would upgrade' if this_task.dry else 'upgrading'} {plan.words}")
    return plan


def _say_nothing_to_upgrade(image: str, major: str) -> None:
    newer = f"inv db.upgrade --to {int(major) + 1}"
    console.say(f"nothing to upgrade: the data and {image} are both of PostgreSQL {major}")
    console.say(f"a newer version, once it has an image: {newer}")


def _refuse_older(settings: Settings, held: Held, image: str, major: str, *, asked: bool) -> None:
    """Raise where the data would go back to an older version, as --to `asked` for."""
    version = held.active.version
    if int(major) >= int(version):
        return
    if _undo_goes_back(settings, held):
        raise problem(
            "DB15.undo" if asked else "DB15.upgraded", found=version, image=image, major=major
        )
    raise problem("DB15.asked" if asked else "DB15", found=version, image=image, major=major)


def _undo_goes_back(settings: Settings, held: Held) -> bool:
    """Whether `inv undo` would undo an upgrade."""
    version = int(held.active.version)
    older = {cluster.name for cluster in held.others if int(cluster.version) < version}
    return any(act.cluster in older for act in acts.noted(settings.project)[-1:])


def _target(settings: Settings, to: str, version: str) -> str:
    """The image that is asked for: that of `.env`, or its like of version `to`."""
    named = settings.values[KEY]
    if not to or (major := _major(settings) or version) == to:
        return named
    image = base_images.of_major(named, major, to)
    if not image:
        raise problem("DB16", image=named, major=to)
    return image


def _image_of(settings: Settings, old: Cluster, image: str, major: str) -> str:
    """The image that the old cluster was last served by, as far as that can be known."""
    if db := containers.running(settings, "db"):
        return db.image
    named = settings.values[KEY]
    if old.image and old.image != image:
        return old.image
    if named != image and _major(settings) == old.version:
        return named
    return base_images.of_major(image, major, old.version) or f"postgres:{old.version}"


def _major(settings: Settings, option: str = "") -> str:
    """The version of the image; '' of one that a dry run would have to fetch first."""
    image = images.ensure(settings, KEY, option)
    if this_task.dry and not image:
        return ""
    major = resources.environment(image).get("PG_MAJOR", "")
    if not major.isdecimal():
        raise problem("DB16.unknown", image=settings.values[KEY])
    return major


def _system(image: str) -> str:
    """The ID of an image's system."""
    return engine.ask("run", "--rm", "--entrypoint", "sh", image, "-c", SYSTEM).strip()


# Doing it


def _upgrade(settings: Settings, plan: Upgrade) -> Settings:
    """The settings with the new image; whatever fails, the old stack is as it was."""
    before = settings.lending({KEY: plan.old.image})
    if plan.left:
        volume_clusters.remove(settings, plan.left)
    with runtimes.stack_of(before).client() as client:
        old = replace(client, variables={**client.variables, **_superuser(settings, plan)})
        started = new_server.started(settings, old, plan.old, plan.name, plan.image)
        with _as_it_ran(settings, old) as web, started as new:
            if web:  # nothing is written meanwhile
                process.attach_or_fail(["docker", "stop", web.name], progress=True)
            facts = _facts(old, plan)
            new.wait()
            _fill(old, new, facts)
            acts.remember(settings.project, "upgrade", cluster=plan.old.name, image=plan.old.image)
            settings = volume_clusters.switch(settings, plan.name, plan.image, new.take_over)
    console.say(
        f"upgraded; the previous data stay in the cluster {plan.old.name} of the volume: "
        "inv undo goes back to them, inv db.upgrade --finish removes them"
    )
    return settings


def _superuser(settings: Settings, plan: Upgrade) -> dict[str, str]:
    values = settings.values
    user = plan.old.superuser or values["SQL_USER"]
    return {"PGUSER": user, "PGPASSWORD": values["SQL_PASSWORD"]}


@contextmanager
def _as_it_ran(settings: Settings, old: Client) -> Iterator[Container | None]:
    """The web, if it runs; where the block fails, what ran before runs again."""
    web = containers.running(settings, "web")
    try:
        yield web
    except BaseException:
        names = [old.container, *([web.name] if web else [])]
        process.attach(["docker", "start", *names], progress=True)
        raise


def _facts(old: Client, plan: Upgrade) -> ServerFacts:
    """What there is to take over, which is from now on nobody's but ours; a problem if it cannot
    all be dumped, or has no room a second time."""
    facts = ServerFacts(**json.loads(old.ask(FACTS, PGDATABASE_OF_THE_PROJECT=old.database)))
    if facts.closed:
        reason = f"the database {facts.closed[0]} allows no connections."
        raise problem("DB17", image=plan.image, reason=reason, old=plan.old.image)
    free = restore.free_bytes(old)
    if free is not None and free < facts.bytes:
        raise problem("BAK09", needed=console.size(facts.bytes), free=console.size(free))
    return facts


def _fill(old: Client, new: NewServer, facts: ServerFacts) -> None:
    """Dump, restore, compare."""
    roles = _roles(new, OLD_ONE)
    missing = "".join(line for line in roles if line != f"CREATE ROLE {facts.role};\n")
    psql = ("psql", *SQL, f"--dbname={MAINTENANCE}")
    _refuse_failed(new, new.client.send(lambda stdin: stdin.write(missing.encode()), *psql))
    with bar("restoring", new.filled, facts.bytes):
        for database in facts.databases:
            _copy(old, new, database)
    if _roles(new) != roles:
        raise _failed(new, "the roles differ.")
    if differing := _compared(old, new.client, facts.databases):
        raise _failed(new, "the new data differ from the old data.", "\n".join(differing[:8]))


def _roles(new: NewServer, *where: str) -> list[str]:
    """The statements, a line each, that make a server's roles, as the new version writes them."""
    done = new.client.run("pg_dumpall", "--roles-only", *where)
    _refuse_failed(new, done)
    lines = done.out.splitlines(keepends=True)
    return [line for line in lines if not line.startswith(("--", "\\"))]


def _copy(old: Client, new: NewServer, database: str) -> None:
    """By the old server's own pg_dump, which leaves out what its system has added to the catalog:
    Debian's 17.12 notes something with each column, and 18 would refuse it."""
    dumped: list[Result] = []

    def feed(pipe: IO[bytes]) -> None:
        argv = ("pg_dump", "--format=custom", "--compress=0")
        dumped.append(old.receive(pipe.write, *argv, database=database))

    into = "template1" if database == MAINTENANCE else MAINTENANCE
    argv = ("pg_restore", "--create", "--clean", "--if-exists", "--exit-on-error")
    restored = new.client.send(feed, *argv, f"--dbname={into}")
    _refuse_failed(new, *dumped, restored)


def _refuse_failed(new: NewServer, *done: Result) -> None:
    for result in done:
        if result.code:
            raise _failed(new, last_error(result.err))


def _failed(new: NewServer, reason: str, evidence: str = "") -> Problem:
    return problem("DB17", evidence, image=new.image, reason=reason, old=new.old_image)


def _compared(old: Client, new: Client, databases: Sequence[str]) -> list[str]:
    """What differs between the two; the new one is analysed in the meantime."""
    with ThreadPoolExecutor(3) as threads:
        threads.submit(new.run, "vacuumdb", "--all", "--analyze-only", "--jobs=2", "--quiet")
        before = threads.map(lambda name: contents.read(old, name), databases)
        after = threads.map(lambda name: contents.read(new, name), databases)
        return [
            f"{name}: {difference}"
            for name, was, now in zip(databases, before, after, strict=True)
            for difference in contents.differences(was, now, exact=True)
        ]
