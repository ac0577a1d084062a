"""What the keeper's container runs.

serve [now]   a round at each time of BACKUP_AT, and one at the start
round [now]   one round: what is due, or with `now` a backup in any case
list          the backups in the store, as JSON
fetch NAME    a backup as a tar archive on stdout, as it lies in the store
"""

import signal
import subprocess
import sys
import tarfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from djup.keeper import config, tell, times
from djup.keeper.config import DONE, FAILED
from djup.problems import Problem

RETRY = timedelta(minutes=10)  # after a round that failed
AGAIN = timedelta(hours=6)  # until who was told of a failure is told once more
TOLD = Path("told")
ALIVE = Path("/tmp/alive")
BEAT_SECONDS, LONGEST_SECONDS = 20, 12 * 3600  # of a round


def serve(*asked: str) -> int:
    """Run rounds until SIGTERM; each is a process of its own, so that we stay small. What is
    `asked` of the first one is not of the others."""
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: ends.set())
    told = config.read()
    at = times.of_day(told["BACKUP_AT"])
    while not ends.is_set():
        good = _round(told, ends, asked)
        asked = () if good else asked
        now = datetime.now(UTC)
        due = times.next_due(at, now)
        until = due if good else min(due, now + RETRY)
        _say(f"{DONE if good else FAILED}: the next one is at {until:%H:%M} UTC")
        _wait(ends, until)
    return 0


def _round(told: config.Config, ends: threading.Event, asked: Sequence[str]) -> bool:
    """Run a round; whether it went well. What it cannot tell itself is told: that it was killed, or
    does not end. SIGTERM ends it, and it tidies up."""
    _say("looking for what is due")
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "djup.keeper", "round", *asked]) as child:
        while child.poll() is None:
            ALIVE.touch()
            if ends.wait(1) or time.monotonic() - begun > LONGEST_SECONDS:
                child.terminate()
                child.wait()
    if child.returncode not in (0, 1) and not ends.is_set():
        _failed(told, f"it was ended after {time.monotonic() - begun:.0f} s ({child.returncode})")
    return child.returncode == 0


def _say(sentence: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {sentence}", file=sys.stderr, flush=True)


def _wait(ends: threading.Event, until: datetime) -> None:
    """Until then; a clock that was put back by days is not waited for."""
    while not ends.is_set():
        ALIVE.touch()
        left = until - datetime.now(UTC)
        if not timedelta(0) < left <= timedelta(days=1):
            return
        ends.wait(min(BEAT_SECONDS, left.total_seconds()))


def round_once(*asked: str) -> int:
    """One round, and whoever is to hear of it."""
    from djup.keeper import work

    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    told = config.read()
    try:
        if work.round_of(told, datetime.now(UTC), asked=bool(asked)):
            tell.success(told)
    except Problem as error:
        print(error, file=sys.stderr, flush=True)
        return _failed(told, error.what)
    except Exception as error:  # an alarm, whatever it was: a full disk, or a mistake of ours
        traceback.print_exc()
        return _failed(told, f"{type(error).__name__}: {error}")
    TOLD.unlink(missing_ok=True)
    return 0


def _failed(told: config.Config, why: str) -> int:
    """Tell who is to know, unless they were told a while ago; the exit code."""
    before = TOLD.stat().st_mtime if TOLD.exists() else 0
    overdue = not 0 <= time.time() - before < AGAIN.total_seconds()
    if overdue and tell.failure(told, f"{told.stack}: the scheduled backup failed. {why}"):
        with suppress(OSError):  # a full disk
            TOLD.touch()
    return 1


def list_backups() -> int:
    """Print what lies in the store."""
    from djup.keeper import store, work

    print(work.as_json(store.Store(config.read()).backups()))
    return 0


def fetch(name: str) -> int:
    """Write a backup to stdout, as it lies in the store."""
    from djup.keeper import uploads, work
    from djup.keeper.store import Store

    store = Store(config.read())
    stored = next(one for one in store.backups() if one.name == name)
    work.STAGE.mkdir()
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for end in (".json", ".dump", uploads.LIST):
            file = store.get(f"{name}{end}{stored.suffix}", work.STAGE)
            tar.add(file, file.name)
            file.unlink()
        for file in store.each_file(store.lines(f"{name}{uploads.CONTENTS}"), work.STAGE):
            tar.add(file, f"{uploads.FOLDER}/{file.name}")
    return 0


def main(command: str, *words: str) -> int:
    """Run a command; a problem is a sentence on stderr."""
    commands: dict[str, Callable[..., int]] = {
        "serve": serve,
        "round": round_once,
        "list": list_backups,
        "fetch": fetch,
    }
    try:
        return commands[command](*words)
    except Problem as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
