"""What a deploy would change, and what of it would interrupt the service."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from djup.deploy import database, edge, history, reach
from djup.deploy.swarm import swarm_stack, toolbox
from djup.deploy.swarm.release import SCALE, Release, bytes_of
from djup.deploy.swarm.swarm import Swarm, proxy_label
from djup.problems import documents, problem
from djup.terminal import console
from djup.terminal.console import few

QUIET = ("REPOSITORY",)
THREADS = ("WEB_REPLICAS", "WEB_WORKERS", "WEB_THREADS")
JOBS = ("WORKER_REPLICAS", "WORKER_PROCESSES")
OF_A_JOB = 2  # connections of one that runs: its code's, and the one that renews its lease
DATABASE = ("DATABASE_HOST", "DATABASE_PORT", "SQL_DATABASE")
OTHERS = 10  # connections of migrations, backups, psql and health checks
OTHER = {
    True: ", which is empty: the current rows are copied into it",
    False: ", which has rows of its own: the current rows stay where they are, and in a backup",
    None: documents.located(" (docs/how-to/production-database.md#a-managed-database)"),
}
ARITHMETIC = documents.located("docs/explanation/growth.md#the-arithmetic")
UNSERVED = "the image lacks: pages that use it answer 500"
QUESTION = ["python", "manage.py", "migration_plan"]


@dataclass(frozen=True)
class Migrations:
    """Those that the database lacks (`app.name`), those of them that the code before cannot run
    beside, with their operations in words; and those that the database has, and that this code
    lacks and cannot run on."""

    unapplied: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """From which release to which, with which migrations; `anew` are the services whose containers
    will be others, `proxies` is how many nodes have one, `memory` what the nodes have in bytes,
    `connections` how many the database takes (each 0: it is not known), `lacking` the static files
    that templates name and the image lacks, each with such a template, `other_is_empty` whether
    rows can be taken along into another database (None: nobody can tell yet, or none are)."""

    before: Release | None
    release: Release
    anew: tuple[str, ...] = ()
    migrations: Migrations = field(default_factory=Migrations)
    proxies: int = 1
    memory: int = 0
    connections: int = 0
    lacking: Mapping[str, str] = field(default_factory=dict)
    other_is_empty: bool | None = None

    @property
    def interruptions(self) -> list[str]:
        """What would keep requests from being answered, in words; none for a first deploy."""
        if self.before is None:
            return []
        reasons = [f"migration {operation}" for operation in self.migrations.operations]
        if ahead := self.migrations.ahead:
            reasons.append(
                f"the database has {few(ahead)}, which this code lacks and cannot run on"
            )
        if self.moves:
            reasons.append(f"the database changes{OTHER[self.other_is_empty]}")
        if "db" in self.anew:
            reasons.append("the container of the database is replaced")
        if self.changes_ports:
            reasons.append("the ports pass from one proxy to another one (EDGE)")
        elif "proxy" in self.anew and self.proxies < 2 and not edge.is_behind(self.release):
            reasons.append("the container of the only proxy is replaced")
        return reasons

    @property
    def most_connections(self) -> int:
        """How many there may be at worst: in a rollback, when both releases run."""
        if self.release.values["SQL_POOLED"]:
            return 2 * self._product("POOL_SIZE") + OTHERS
        of_jobs = OF_A_JOB * self._product(*JOBS) if self.release.has_worker else 0
        return 2 * (self._product(*THREADS) + of_jobs) + OTHERS

    @property
    def most_memory(self) -> int:
        """What web and worker may take while old and new ones run side by side, in bytes."""
        web = self._memory_of("WEB_REPLICAS", "WEB_MEMORY")
        has_worker = self.release.has_worker
        return web + (self._memory_of("WORKER_REPLICAS", "WORKER_MEMORY") if has_worker else 0)

    def _memory_of(self, replicas: str, memory: str) -> int:
        containers = self._product(replicas) + self.release.at_once(replicas)
        return containers * bytes_of(self.release.values[memory])

    def _product(self, *keys: str) -> int:
        return math.prod(int(self.release.values[key]) for key in keys)

    @property
    def moves(self) -> bool:
        """Whether the database is to be another one."""
        if self.before is None:
            return False
        return any(self.before.values[key] != self.release.values[key] for key in DATABASE)

    @property
    def changes_ports(self) -> bool:
        """Whether the site comes behind the edge, or leaves it."""
        return self.before is not None and edge.is_behind(self.before) != edge.is_behind(
            self.release
        )

    @property
    def starts_database(self) -> bool:
        """Whether there is no database of the stack's own yet, and is to be one."""
        has_one = self.before is not None and self.before.has_own_database
        return self.release.has_own_database and not has_one

    @property
    def changes_something(self) -> bool:
        """Whether anything of the stack would be another one."""
        return self.before is None or bool(
            changes(self.before, self.release) or self.migrations.unapplied
        )


def make(before: Release | None, release: Release, swarm: Swarm) -> Plan:
    """The plan as far as it is known without the new image."""
    proxies = len(swarm.labelled(proxy_label(release.stack)))
    return Plan(before, release, _anew(before, release), proxies=proxies, memory=swarm.memory)


def _anew(before: Release | None, release: Release) -> tuple[str, ...]:
    if before is None:
        return ()
    was, will_be = swarm_stack.rendered(before), swarm_stack.rendered(release)
    return tuple(name for name in will_be if name in was and was[name] != will_be[name])


def changes(before: Release, after: Release) -> dict[str, tuple[str, str]]:
    """Each value, and each compose file, that differs: what it was, what it will be."""
    keys = sorted({*before.values, *after.values} - set(QUIET))
    pairs = {key: (before.values.get(key, ""), after.values.get(key, "")) for key in keys}
    names = sorted({*before.files, *after.files})
    pairs |= {
        f"compose/{name}": (_file(before, name), _file(after, name))
        for name in names
        if before.files.get(name) != after.files.get(name)
    }
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def look_at_other(plan: Plan, swarm: Swarm) -> Plan:
    """With what is known of another database that rows are to be taken to."""
    if not plan.moves or plan.starts_database:
        return plan  # or nobody can ask yet
    return replace(plan, other_is_empty=database.is_empty(plan.release, swarm))


def ask_new_code(plan: Plan, swarm: Swarm) -> Plan:
    """With what the new code says of the database as it is, with the password that this has."""
    now = plan.before or plan.release
    report = _migration_plan(database.with_its_password(plan.release, now, swarm), swarm)
    if unmade := report.get("unmade"):
        raise problem("DEP28", apps=few(unmade))
    return replace(
        plan,
        migrations=_migrations(plan.release, report),
        connections=report.get("connections", 0),
        lacking=report.get("lacking", {}),
    )


def _migrations(release: Release, report: dict[str, Any]) -> Migrations:
    blocking = report["blocking"]
    return Migrations(
        unapplied=tuple(report["unapplied"]),
        blocking=tuple(dict.fromkeys(entry["migration"] for entry in blocking)),
        operations=tuple(_in_words(entry) for entry in blocking),
        ahead=_ahead(release, report),
    )


def _in_words(entry: dict[str, str]) -> str:
    return f"{entry['migration']}: {entry['operation']} ({entry['why']})"


def ahead(release: Release, swarm: Swarm, now: Release | None = None) -> tuple[str, ...]:
    """Which migrations the database has that this release lacks and cannot run on; the password of
    `now` is tried too."""
    if not history.breaking(release.stack):
        return ()
    reachable = database.with_its_password(release, now or release, swarm)
    return _ahead(release, _migration_plan(reachable, swarm))


def unapplied(release: Release, swarm: Swarm) -> tuple[str, ...]:
    """Which migrations of a release the database lacks."""
    return tuple(_migration_plan(release, swarm)["unapplied"])


def _ahead(release: Release, report: dict[str, Any]) -> tuple[str, ...]:
    unknown = report.get("unknown", [])  # code of earlier versions does not say
    return tuple(sorted(history.breaking(release.stack).intersection(unknown)))


def _migration_plan(release: Release, swarm: Swarm) -> dict[str, Any]:
    """What the code of a release says of the database."""
    with toolbox.toolbox(release, swarm) as container:
        done = toolbox.run(container, QUESTION)
    with suppress(ValueError):
        if not done.code:
            return dict(json.loads(done.out))
    reach.refuse_hidden_by(release, done.out + done.err)
    lines = (done.out + done.err).strip().splitlines()[-20:]
    if done.code == os.EX_NOUSER:
        raise problem("MIG12.deploy", sentence=_sentence(lines))
    raise problem("DEP25", "\n".join(lines))


def _sentence(lines: Sequence[str]) -> str:
    """Django's words on a command that has failed, without what precedes them."""
    return lines[-1].removeprefix("CommandError: ").removeprefix("Cannot migrate: ")


def as_text(plan: Plan, where: str, nodes: int, notes: Sequence[str] = ()) -> str:
    """For the person at the terminal; `notes` are further warnings."""
    rows = [(f"  {what}", _short(was), _short(now)) for what, was, now in rows_of(plan)]
    lines = [
        _head(plan, where, nodes),
        console.table(("  WHAT", "NOW", "AFTER"), rows) if rows else "  nothing changes",
    ]
    if plan.migrations.unapplied:
        lines.append(f"  migrations to apply: {few(plan.migrations.unapplied)}")
    lines += [f"  interrupts: {reason}" for reason in plan.interruptions]
    lines += [f"  warning: {warning}" for warning in (*notes, *warnings(plan))]
    return "\n".join(lines)


def warnings(plan: Plan) -> list[str]:
    """What a release may suffer from, though nothing keeps it from being deployed."""
    return [
        *_too_many_connections(plan),
        *_too_little_memory(plan),
        *unserved(plan.lacking, UNSERVED),
    ]


def _head(plan: Plan, where: str, nodes: int) -> str:
    before, after = plan.before, plan.release
    releases = f"release {before.number} -> {after.number}" if before else f"release {after.number}"
    place = f"{where} ({nodes} node{'s'[: nodes > 1]})"
    return f"{after.stack} on {place}: {releases}, commit {after.commit}"


def _too_many_connections(plan: Plan) -> list[str]:
    """A warning, if web and worker could open more connections than the database accepts."""
    if not 0 < plan.connections < plan.most_connections:
        return []
    return [
        f"up to {plan.most_connections} connections are possible, the database accepts "
        f"{plan.connections}: {ARITHMETIC}"
    ]


def _too_little_memory(plan: Plan) -> list[str]:
    """A warning, if web and worker could take more memory in a deploy than all nodes have."""
    if not 0 < plan.memory < plan.most_memory:
        return []
    return [
        f"a deploy may take {console.size(plan.most_memory)} of memory, the nodes have "
        f"{console.size(plan.memory)}: {ARITHMETIC}"
    ]


def unserved(lacking: Mapping[str, str], by: str) -> list[str]:
    """What there is to say of static files that are named and not there, one sentence each."""
    more = documents.located("docs/how-to/production-extras.md#a-bundler")
    return [
        f"{template} names the static file {name}, which {by} ({more})"
        for name, template in lacking.items()
    ]


def rows_of(plan: Plan) -> list[tuple[str, str, str]]:
    """What changes, from what, to what; of a first release the most important values."""
    if plan.before is None:
        shown = ("WEB_IMAGE", *SCALE, "DOMAIN", "TLS", "DATABASE_HOST", "POSTGRES_IMAGE")
        return [(key, "", plan.release.values.get(key, "")) for key in shown]
    changed = changes(plan.before, plan.release)
    return [(_worded(key), was, now) for key, (was, now) in changed.items()]


def _worded(key: str) -> str:
    for suffix, word in (("_SECRET", "secret"), ("_CONFIG", "config")):
        if key.endswith(suffix):
            return f"{word} {key.removesuffix(suffix).lower()}"
    return key


def _short(value: str) -> str:
    return value if len(value) < 60 else f"{value[:57]}..."


def _file(release: Release, name: str) -> str:
    return f"as of release {release.number}" if name in release.files else "none"
