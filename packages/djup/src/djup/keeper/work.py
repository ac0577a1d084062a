"""One round of the keeper: a backup if one is due, shipped, tried out, the old ones removed."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from djup.data import backup as making
from djup.data import backups
from djup.data.backups import Backup
from djup.keeper import thinning, times, uploads
from djup.keeper.config import Config
from djup.keeper.seal import Seal
from djup.keeper.store import Store, Stored
from djup.keeper.uploads import Upload
from djup.postgres import contents, libpq
from djup.postgres.client import Client
from djup.problems import problem
from djup.terminal import console

PASSWORD = Path("/run/secrets/sql_password")
PROGRAMS = "/opt/postgres/bin"
HASHES = Path("hashes.json")
STAGE = Path("stage")
WHOLE = "restored, and compared"
SHRUNKEN = 0.1  # of what there was: less has to be looked at by somebody
UNREAD = "restored before it was encrypted, and its copy read back"


def client(stack: str) -> Client:
    """PostgreSQL's programs beside us, as the variables of the container lead to the database."""
    names = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT")
    given = {name: os.environ[name] for name in names if os.environ.get(name)}
    # Another name than that of the tasks: each of these ends the sessions of its own name.
    own = libpq.variables(
        password=PASSWORD.read_text(), program=f"inv {stack}-keeper", connect_timeout="10"
    )
    programs = Client(stack, "", PROGRAMS, {**given, **own}, data="", compression="zstd:2")
    return programs.of_its_version()


def round_of(config: Config, now: datetime, *, asked: bool = False) -> bool:
    """Do what is due, or was asked for; whether there was anything."""
    store, seal = Store(config), Seal(config)
    stored = [one for one in store.backups() if not times.is_ahead(one.created, now)]
    with _tidied():
        if not asked and not _is_due(config, stored, now):
            return False
        before = stored[0] if stored else None
        backup, made = _make(config, store, seal)
        if _trial_is_due(config, stored, now):
            _try(config, store, seal, backup, made)
        _refuse_shrunken(before, made)
        thin_out(config, store)  # last: nothing goes while the newest is not what it should be
    return True


def _is_due(config: Config, stored: Sequence[Stored], now: datetime) -> bool:
    due = times.last_due(times.of_day(config["BACKUP_AT"]), now)
    return not stored or times.moment(stored[0].created) < due


def _trial_is_due(config: Config, stored: Sequence[Stored], now: datetime) -> bool:
    """Whether none was restored for as long as BACKUP_VERIFY says, less an hour: the next round is
    a day later. A trial that fails is made again with the next backup, not before."""
    days = times.VERIFY[config["BACKUP_VERIFY"]]
    trials = [times.moment(one.verified) for one in stored if one.verified]
    since = now - timedelta(days=days) + times.GRACE
    return bool(days) and not any(trial > since for trial in trials)


@contextmanager
def _tidied() -> Iterator[None]:
    """Nothing is left on our disk, before or after: neither of us nor of one that was killed."""
    try:
        _remove_all()
        yield
    finally:
        _remove_all()


def _remove_all() -> None:
    for folder in (backups.FOLDER, STAGE):
        shutil.rmtree(folder, ignore_errors=True)


def _make(config: Config, store: Store, seal: Seal) -> tuple[Backup, Stored]:
    """Make a backup and ship it; gives it as it lies here, and as it lies there."""
    database = client(config.stack)
    if contents.is_empty(database):
        raise problem("BAK26", database=database.database)
    backup = making.make(database, "scheduled", with_files=False)
    found = uploads.found(HASHES) if uploads.ROOT.is_dir() else {}
    made = _ship(backup, found, store, seal)
    store.put_facts(made)
    size = console.size(made.size + made.files_bytes)
    console.say(f"shipped {backup.name} to {store.address}: {size}")
    return backup, made


def _ship(backup: Backup, found: dict[str, Upload], store: Store, seal: Seal) -> Stored:
    """Copy all that belongs to a backup: the names of its contents first, so that nobody takes
    these for unused; its facts, which make it a backup, come last, by who calls."""
    STAGE.mkdir(exist_ok=True)
    _put_names(backup, found, store, seal)
    shipped = uploads.ship(found, store, seal, STAGE / uploads.FOLDER)
    if len(shipped) < len(found):
        _put_names(backup, shipped, store, seal)
    listed = STAGE / f"{backup.name}{uploads.LIST}"
    uploads.write(shipped, listed)
    for file in (listed, backups.manifest_of(backup.dump)):
        store.put(sealed := seal.close(file, STAGE), sealed.name)
    dump = seal.close(backup.dump, STAGE)
    store.put(dump, dump.name)
    return Stored(
        name=backup.name,
        created=backup.created,
        size=dump.stat().st_size,
        sha256=uploads.sha256_of(dump),
        rows=backup.contents.rows,
        files=len(shipped),
        files_bytes=sum(upload.size for upload in shipped.values()),
        encrypted=seal.encrypts,
    )


def _put_names(backup: Backup, found: Mapping[str, Upload], store: Store, seal: Seal) -> None:
    names = {uploads.content_name(upload, seal.suffix) for upload in found.values()}
    file = STAGE / f"{backup.name}{uploads.CONTENTS}"
    file.write_text("".join(f"{name}\n" for name in sorted(names)))
    store.put(file, file.name)


def _refuse_shrunken(before: Stored | None, made: Stored) -> None:
    """Raise where a backup has far less than the one before it: it is kept, and somebody should
    look before older ones are removed."""
    if before is None:
        return
    for had, has, what in (
        (before.rows, made.rows, "rows"),
        (before.files, made.files, "uploads"),
    ):
        if has < had * SHRUNKEN:
            raise problem("BAK28", name=made.name, has=f"{has:,} {what}", had=f"{had:,}")


def thin_out(config: Config, store: Store) -> None:
    """Remove the backups that BACKUP_KEEP does not keep, what rounds that were killed have left,
    and contents that none has any more."""
    stored = store.backups()
    made = {one.name: times.moment(one.created) for one in stored}
    verified = [one.name for one in stored if one.verified]
    stay = thinning.kept(made, verified, config["BACKUP_KEEP"])
    gone = [name for name in made if name not in stay]
    for name in gone:
        store.remove(name)
        console.say(f"removed {name}")
    store.remove_unfinished(made)
    if gone:
        _remove_unused(store, holds_some=any(one.files for one in stored if one.name in stay))


def _remove_unused(store: Store, *, holds_some: bool) -> None:
    """Remove the contents that no list in the store names, as long as these can be read."""
    used = store.lines(f"*{uploads.CONTENTS}")
    unused = store.files() - used
    if unused and (used or not holds_some):
        store.remove_files(sorted(unused))
        console.say(f"removed {len(unused):,} files that no backup has any more")


def _try(config: Config, store: Store, seal: Seal, backup: Backup, made: Stored) -> None:
    """Restore the backup that was just made into a database of its own, and compare: from the store
    or, where we cannot read what is encrypted there, from what was encrypted."""
    if seal.reads:
        shutil.rmtree(backups.FOLDER)
        backup = fetch(made, store, seal)
    elif uploads.sha256_of(store.get(f"{made.name}.dump{made.suffix}", STAGE)) != made.sha256:
        raise problem("BAK25", name=made.name)
    names = store.lines(f"{made.name}{uploads.CONTENTS}")
    if lacking := uploads.missing(names, store):
        raise problem("BAK25.files", name=made.name, count=f"{len(lacking):,}")
    making.check(replace(client(config.stack), project=f"{config.stack}-keeper"), backup)
    how = WHOLE if seal.reads else UNREAD
    store.put_verified(made.name, datetime.now(UTC).isoformat(timespec="seconds"), how)


def fetch(stored: Stored, store: Store, seal: Seal) -> Backup:
    """Copy a backup's dump and manifest from the store into backups/, as they were made."""
    backups.make_folder()
    STAGE.mkdir(exist_ok=True)
    for end in (".json", ".dump"):
        file = store.get(f"{stored.name}{end}{stored.suffix}", STAGE)
        with seal.opened(file) as plain:
            shutil.move(plain, backups.FOLDER / f"{stored.name}{end}")
    backup = backups.read(backups.FOLDER / f"{stored.name}.dump")
    if backup is None:
        raise problem("BAK25", name=stored.name)
    return backup


def as_json(stored: Sequence[Stored]) -> str:
    """For who asks from elsewhere."""
    return json.dumps([vars(one) for one in stored])
