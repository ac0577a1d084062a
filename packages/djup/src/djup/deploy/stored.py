"""The scheduled backups of production, as the store has them: listed, judged, fetched.

The store is asked by a container of the keeper's image on the engine that is deployed to: with the
settings alone, whether a stack runs there or not.
"""

import importlib
import json
import os
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from djup.data import backups
from djup.data.backups import Backup
from djup.deploy import keeper_image, keeping, production
from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.target import find_target
from djup.docker import engine, resources
from djup.host import packages, process, temporary
from djup.keeper import seal, times, uploads
from djup.keeper.config import DONE, FAILED, IDENTITY, VARIABLE
from djup.keeper.store import VOLUME, Stored
from djup.keeper.uploads import Upload
from djup.problems import Problem, problem, relayed
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.console import age
from djup.terminal.task import this_task

LATEST = "latest"
SECONDS, POLL_SECONDS = 180, 2


@dataclass(frozen=True)
class Store:
    """The store of a stack: the values that `.env` has for it, and what their keys begin with."""

    stack: str
    chosen: Mapping[str, str]
    prefix: str = production.PREFIX

    @property
    def is_on(self) -> bool:
        """Whether there are to be scheduled backups."""
        return keeping.is_on(self.chosen)

    @property
    def is_there(self) -> bool:
        """Whether there may be some."""
        return keeping.has_store(self.chosen)

    @property
    def where(self) -> str:
        """Where they lie, in words."""
        return self.chosen["BACKUP_TO"] or "a volume of the node"

    @property
    def is_at_hand(self) -> bool:
        """Whether it can be asked from here: a volume only on the node that has it, and not before
        the first backup."""
        return bool(self.chosen["BACKUP_TO"]) or self._name in resources.inspect(self._name)

    def backups(self) -> list[Stored]:
        """What lies there, the newest first."""
        argv, env = self._command("list")
        done = process.run(argv, env=env, timeout=SECONDS)
        if done.code:
            raise self._relayed(done.err)
        return [Stored(**record) for record in json.loads(done.out)]

    def fetch(self, one: Stored) -> Backup:
        """Copy one into backups/ of this checkout, and decrypt it here; gives it."""
        if one.encrypted:
            _install()
        argv, env = self._command("fetch")
        with temporary.folder() as folder:
            archive = Path(folder, "backup.tar")
            with archive.open("wb") as file:
                done = process.receive([*argv, one.name], file.write, env=env)
            if done.code:
                raise self._relayed(done.err)
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            archive.unlink()
            told = keeping.config(self.stack, self.chosen, restores=True)
            return _assembled(one, Path(folder), seal.Seal(told))

    def can_read(self, backup: Stored) -> bool:
        """Whether `.env` has a private key, if one is needed."""
        keys = (self.chosen["BACKUP_KEY"], self.chosen[IDENTITY])
        return not backup.encrypted or any(seal.PRIVATE.fullmatch(key) for key in keys)

    def _relayed(self, said: str) -> Problem:
        """The problem that the container ended with."""
        lines = said.strip().splitlines() or ["it gave no reason"]
        return relayed(said) or problem("BAK24", address=self.where, reason=lines[-1].strip())

    def _command(self, command: str) -> tuple[list[str], dict[str, str]]:
        """A command of the keeper in a container of its own. Without a log: what it writes is for
        us, and may be large. It is not given the private key that only a restore needs."""
        keeping.check(self.chosen, self.prefix)
        image = keeper_image.ensured(self.stack, self.chosen)
        mounts = ["--mount", "type=volume,target=/keeper", *self._volume()]
        words = ["--rm", "--log-driver", "none", "--env", VARIABLE, *mounts]
        told = keeping.config(self.stack, self.chosen)
        return ["docker", "run", *words, image, command], {**os.environ, VARIABLE: told.as_text()}

    def _volume(self) -> list[str]:
        """The volume that is the store where BACKUP_TO is empty: on the keeper's node alone."""
        if self.chosen["BACKUP_TO"]:
            return []
        if not self.is_at_hand:
            raise problem("DEP57", volume=self._name)
        return ["--mount", f"type=volume,source={self._name},target={VOLUME}"]

    @property
    def _name(self) -> str:
        return f"{self.stack}_backups"


def of(settings: Settings) -> Store:
    """The store that `.env` names."""
    stack = production.stack_name(settings, local=False)
    return Store(stack, production.preferred(settings), settings.prefix)


def judged(store: Store, found: Sequence[Stored], now: datetime) -> Problem | None:
    """Why the backups are not what `.env` asks for; None where they are."""
    due = times.oldest_allowed(times.of_day(store.chosen["BACKUP_AT"]), now)
    found = [one for one in found if not times.is_ahead(one.created, now)]
    if not found:
        return problem("DEP58.none", where=store.where)
    newest = found[0]
    if times.moment(newest.created) < due:
        when = f"{due:%Y-%m-%d %H:%M} UTC"
        return problem("DEP58", name=newest.name, age=age(newest.created), due=when)
    days = 2 * times.VERIFY[store.chosen["BACKUP_VERIFY"]]
    trials = sorted((one.verified for one in found if one.verified), reverse=True)
    trials = [trial for trial in trials if not times.is_ahead(trial, now)]
    if days and not trials:
        return problem("DEP59.never")
    if days and times.moment(trials[0]) < now - timedelta(days=days):
        return problem("DEP59", age=age(trials[0]), wanted=store.chosen["BACKUP_VERIFY"])
    return None


def show(settings: Settings, context: str, *, as_json: bool) -> None:
    """List the scheduled backups; a Problem in the end where they are not what they should be."""
    swarm.lead_to(settings, context, local=False)
    store = of(settings)
    if not store.is_there:
        raise problem("DEP57.off")
    found = store.backups()
    cause = judged(store, found, datetime.now(UTC)) if store.is_on else None
    console.answer(console.as_json(record(store, found, cause)) if as_json else as_text(found))
    if cause:
        raise cause


def make_now(settings: Settings, context: str) -> None:
    """Have the keeper make a backup at once, and wait until it is in the store."""
    target = find_target(settings, context, local=False)
    store = of(settings)
    if not store.is_on or "KEEPER" not in target.release().values:
        raise problem("DEP57.off")
    if this_task.dry:
        console.say(f"would have the keeper of {target.stack} make a backup")
        return
    there = {one.name for one in store.backups()}
    keeper = f"{target.stack}_keeper"
    since = engine.ask("info", "--format", "{{.SystemTime}}").strip()
    engine.ask("service", "update", "--detach", "--quiet", "--args", "serve now", keeper)
    try:
        _wait(keeper, since)
        new = (one.name for one in store.backups() if one.name not in there)
        console.answer(next(new, ""))
    finally:  # when it starts again for another reason, nothing more is asked of it
        process.clean_up(["docker", "service", "update", "--detach", "--args", "", keeper])


def _wait(keeper: str, since: str) -> None:
    """Until the keeper is done, with its trial if one was due; a Problem where it has failed."""
    while DONE not in (said := swarm_stack.logs("--since", since, keeper)):
        if cause := relayed(said):
            raise cause
        if FAILED in said:
            raise problem("DEP62", service=keeper)
        time.sleep(POLL_SECONDS)


def show_new_key(settings: Settings) -> None:
    """Print a new pair of keys as lines of `.env`, made on this machine; nothing is written."""
    _install()
    private, public = seal.new_key()
    identity = f"{settings.prefix if settings.stage else ''}{IDENTITY}"
    console.answer(f"{settings.prefix}BACKUP_KEY={public}\n{identity}={private}")
    console.say("keep BACKUP_IDENTITY where the server's .env is not: without it no backup opens")


def _install() -> None:
    """Have what encrypts and decrypts."""
    packages.ensure("keeper")
    importlib.invalidate_caches()


def record(store: Store, found: Sequence[Stored], cause: Problem | None) -> dict[str, Any]:
    """For a monitor."""
    listed = [vars(one) for one in found]
    return {"where": store.where, "problem": cause.what if cause else "", "backups": listed}


def as_text(found: Sequence[Stored]) -> str:
    """For the person at the terminal."""
    heads = ("BACKUP", "AGE", "SIZE", "ROWS", "FILES", "ENCRYPTED", "VERIFIED")
    return console.table(heads, [_row(one) for one in found])


def _row(one: Stored) -> tuple[str, ...]:
    return (
        one.name,
        age(one.created),
        console.size(one.size + one.files_bytes),
        f"{one.rows:,}",
        f"{one.files:,}",
        "yes" if one.encrypted else "no",
        f"{age(one.verified)} ago" if one.verified else "no",
    )


def in_short(found: Sequence[Stored], store: Store) -> str:
    """One line for the status."""
    newest = f"{age(found[0].created)} ago" if found else "none"
    trials = sorted((one.verified for one in found if one.verified), reverse=True)
    verified = f"{age(trials[0])} ago" if trials else "never"
    return f"backups in {store.where}: {len(found)}, the newest {newest}, verified {verified}"


def fetched(store: Store, which: str) -> Backup:
    """The backup of a name, or the newest for `latest`, copied into backups/ of this checkout."""
    found = store.backups()
    one = _named(found, which)
    if one is None:
        known = console.few([stored.name for stored in found])
        raise problem(
            "BAK27", which=which, stack=store.stack, where=store.where, known=known or "none"
        )
    if here := backups.read(backups.FOLDER / f"{one.name}.dump"):
        return here
    if not store.can_read(one):
        raise problem("BAK23", name=one.name)
    console.say(f"fetching {one.name} from {store.where}")
    return store.fetch(one)


def _named(found: Sequence[Stored], which: str) -> Stored | None:
    if which == LATEST:
        return found[0] if found else None
    return next((one for one in found if one.name == which.removesuffix(".dump")), None)


def _assembled(one: Stored, folder: Path, sealed: seal.Seal) -> Backup:
    """A backup in backups/, from its files as they lay in the store; the dump last, since with it
    the others are one."""
    backups.make_folder()
    with sealed.opened(folder / f"{one.name}{uploads.LIST}{one.suffix}") as plain:
        found = uploads.read(plain)
    archive = folder / f"{one.name}.files.tar.gz"
    packed = uploads.pack(found, one.suffix, sealed, folder / uploads.FOLDER, archive)
    if packed:
        archive.chmod(0o600)
        archive.replace(backups.FOLDER / archive.name)
    for end in (".json", ".dump"):
        with sealed.opened(folder / f"{one.name}{end}{one.suffix}") as plain:
            plain.chmod(0o600)
            plain.replace(backups.FOLDER / f"{one.name}{end}")
    return _numbered(backups.FOLDER / f"{one.name}.dump", packed)


def _numbered(dump: Path, packed: Sequence[Upload]) -> Backup:
    """The backup that a dump is, with a number of this checkout, and with its uploads."""
    read = backups.read(dump)
    assert read, dump
    backup = replace(read, number=backups.next_number())
    if packed:
        archive = backups.archive_of(dump, ".files.tar.gz")
        size, digest = archive.stat().st_size, uploads.sha256_of(archive)
        total = sum(upload.size for upload in packed)
        files = backups.Files(".files.tar.gz", len(packed), total, size, digest)
        backup = replace(backup, files=files)
    backups.write_manifest(backup)
    backups.refuse_damaged(backup)
    return backup
