"""Another cluster of the volume in the place of the one in use, and a server of its version.

For an upgrade it is made on the way: a copy follows the database in another folder of the volume,
is promoted, and pg_upgrade makes the next version of it. The files of the cluster that was in use
are not touched: until a server of the new one starts, there is a way back without any loss.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from djup.deploy import (
    database_client,
    database_volume,
    handover,
    history,
    program_configs,
    programs,
    slots,
    whole,
)
from djup.deploy.handover import UPGRADE
from djup.deploy.swarm import jobs, swarm, swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.docker import engine
from djup.docker.data_volume import DATA
from djup.host import process
from djup.host.process import ChildFailed
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.stack.volume_clusters import Cluster
from djup.terminal import console, hangup
from djup.terminal.task import this_task

DATABASE, SLOT = "db", "upgrade"
IMAGE, KEEPER = "POSTGRES_IMAGE", "KEEPER"
READY = ("test -e /tmp/ready", "500ms", "24h")  # as long as a copy takes
RIGHTS = ("CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE")
PROMOTE = "select pg_promote(false)"  # its program waits for the rest


@dataclass(frozen=True)
class VersionChange:
    """Of the stack of `before`: from the cluster `old` to the one named `new`; `after` is the
    release with the image of that, and a keeper with its programs."""

    before: Release
    after: Release
    swarm: Swarm
    old: str
    new: str

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.before.stack

    @property
    def _service(self) -> str:
        return f"{self.stack}_{SLOT}"

    def upgrade(self, old: Cluster) -> float:
        """Make the new cluster, and have it be the one in use; the seconds without a database.
        Where it fails before that is decided, all is as it was."""
        with self._given_up_if_it_fails(), self._copy(old) as copy:
            copy.ask("checkpoint", copy.database)  # the next one is a short one
            position = whole.position(self.before, self.swarm)
            self._begin()
            begun = time.monotonic()
            self._stop_database()
            if not whole.is_reached(copy, position):
                raise problem("DEP77", reason="the copy does not have all that was written")
            copy.ask(PROMOTE, copy.database)
        with self._given_up_if_it_fails():
            self._refuse_failed(jobs.outcome(self._service))
            handover.decide(self.stack)
        self.lead()
        return time.monotonic() - begun

    def exchange(self) -> float:
        """Have a cluster that is there be the one in use; the seconds without a database."""
        with self._given_up_if_it_fails():
            self._begin()
            begun = time.monotonic()
            self._stop_database()
            database_volume.use(self.before, self.new)
            handover.decide(self.stack)
        self.lead()
        seconds = time.monotonic() - begun
        slots.drop(self.after, self.swarm, SLOT)  # as it was when the upgrade stopped it
        return seconds

    def lead(self) -> None:
        """Have the services run on the new cluster. Each step may have been done before, by
        somebody who was killed."""
        self._remove_server()
        history.keep(self.after)
        swarm_stack.apply(self.after)
        swarm_stack.wait(self.stack, [f"{self.stack}_{DATABASE}"])
        handover.end(self.stack)

    def go_back(self) -> None:
        """The database again on the cluster that it had; whoever reads what we say may be gone."""
        this_task.interrupted = False
        try:
            swarm.patiently(self._as_before)
            console.say("the database runs as before")
        except OSError:
            hangup.let_go(1, 2)
            swarm.patiently(self._as_before)
        except (Problem, ChildFailed) as another:
            console.say(f"going back failed, too: {another}. Run inv {UPGRADE} again")

    def _as_before(self) -> None:
        handover.reconsider(self.stack)
        self._remove_server()
        if handover.find(self.stack):
            database_volume.use(self.before, self.old, after=self.new)
            swarm_stack.scale(self.stack, DATABASE, 1)
            swarm_stack.wait(self.stack, [f"{self.stack}_{DATABASE}"])
        slots.drop(self.before, self.swarm, SLOT)
        handover.end(self.stack)

    @contextmanager
    def _given_up_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with process.unbroken():
                self.go_back()
            raise

    def _begin(self) -> None:
        values = self.after.values
        facts = {"old": self.old, "new": self.new, "number": str(self.after.number)}
        facts |= {key: values[key] for key in (IMAGE, KEEPER) if key in values}
        handover.begin(self.stack, UPGRADE, facts)

    def _stop_database(self) -> None:
        swarm_stack.scale(self.stack, DATABASE, 0)
        swarm_stack.wait(self.stack, [f"{self.stack}_{DATABASE}"])

    @contextmanager
    def _copy(self, old: Cluster) -> Iterator[Client]:
        """PostgreSQL's programs for a copy that follows the database, in a server of its own."""
        self._remove_server()
        self._carry_programs()
        jobs.create_server(self.before, self._service, SLOT, self._words(old))
        console.say("copying the database ...")
        self._refuse_failed(jobs.started(self._service))
        there = database_client.at(self.before, self._service)
        with database_client.client(there, self.swarm) as client:
            yield client

    def _carry_programs(self) -> None:
        """The programs of the version before into the volume."""
        script = (programs.FOLDER / "bundle.sh").read_text()
        on_node = ("--constraint", f"node.labels.{swarm.db_label(self.stack)} == true")
        entry = ("--entrypoint", "sh", self.before.values[IMAGE], "-c", script, "sh")
        words = [*on_node, *entry, f"{DATA}/{self.new}/programs"]
        self._refuse_failed(jobs.in_volume(self.before, "programs", words))

    def _words(self, old: Cluster) -> list[str]:
        values, (test, interval, start) = self.before.values, READY
        password = f"source={values['SQL_PASSWORD_SECRET']},target=sql_password,mode=0400"
        return [
            *("--constraint", f"node.labels.{swarm.db_label(self.stack)} == true"),
            *self._configs(),
            *("--secret", password, *jobs.data(self.before)),
            *(word for key, text in self._environment(old).items() for word in _env(key, text)),
            *(word for right in RIGHTS for word in ("--cap-add", right)),
            *("--health-cmd", test, "--health-interval", interval, "--health-start-period", start),
            *("--entrypoint", "sh /upgrade.sh", self.after.values[IMAGE]),
        ]

    def _configs(self) -> list[str]:
        contents = programs.contents({"upgrade_program": "upgrade.sh"})
        named = program_configs.create(self.stack, contents)
        paths = {name: f"/{name.removesuffix('_program')}.sh" for name in contents}
        full = {named[program_configs.variable(name)]: path for name, path in paths.items()}
        flags = (f"source={name},target={path}" for name, path in full.items())
        return [word for flag in flags for word in ("--config", flag)]

    def _environment(self, old: Cluster) -> Mapping[str, str]:
        values = self.before.values
        return {
            "PGHOST": values["DATABASE_HOST"],
            "PGPORT": values["DATABASE_PORT"],
            "PGUSER": values["SQL_USER"],
            "PGDATABASE": values["SQL_DATABASE"],
            "SUPERUSER": old.superuser or values["SQL_USER"],
            "CLUSTER": self.new,
            "BEFORE": self.old,
            IMAGE: self.after.values[IMAGE],
            **programs.KEPT,
        }

    def _refuse_failed(self, done: jobs.Outcome) -> None:
        if not done.good:
            said = done.said or jobs.last_lines(swarm_stack.logs(self._service))
            reason = said.splitlines()[-1] if said else done.error
            raise problem("DEP77", jobs.last_lines(said), reason=reason)

    def _remove_server(self) -> None:
        if self._service in jobs.names(self.stack, SLOT):
            engine.ask("service", "rm", self._service)


def cut_off(note: handover.Note, release: Release, reached: Swarm) -> VersionChange:
    """The change that a note is about, of a stack that serves a release."""
    facts = note.facts
    values = {key: facts[key] for key in (IMAGE, KEEPER) if key in facts}
    after = replace(release.with_values(**values), number=int(facts["number"]))
    return VersionChange(release, after, reached, facts["old"], facts["new"])


def refuse_other(release: Release, image: str) -> None:
    """Raise unless an image is of the version of the data that a release has."""
    found, wanted = _versions(release, image)
    if wanted > found:
        raise problem("DEP78.newer", found=found, image=image, major=wanted)
    if wanted < found:
        raise problem("DEP78", found=found, image=image, major=wanted)


def with_its_version(previous: Release, now: Release) -> Release:
    """A release of earlier on with the version of PostgreSQL that the data have now: that is not of
    its code."""
    found, wanted = _versions(now, previous.values[IMAGE])
    both = [key for key in (IMAGE, KEEPER) if key in previous.values and key in now.values]
    if found == wanted:
        return previous
    return previous.with_values(**{key: now.values[key] for key in both})


def _versions(release: Release, image: str) -> tuple[int, int]:
    """Of the data of a release, and of an image."""
    held = database_volume.survey(release)
    return int(held.active.version), database_volume.image(release, image).major


def _env(key: str, text: str) -> tuple[str, str]:
    return "--env", f"{key}={text}"
