"""`manage.py migrate`: by hand, and by `up` beside a web that runs; what is kept of a failure."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from djup import ROOT, STATE
from djup.host import process
from djup.host.process import ChildFailed
from djup.problems import problem
from djup.stack.causes import migrations
from djup.stack.causes import web as web_cause
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

LOG = STATE / "migrate.log"
LOG_KEY, ON_STDERR = "MIGRATE_LOG", "-"
WAITING = "Waiting for "
ABOVE = "the migrations failed for the reason above."


def by_hand(stack: Stack, arguments: Sequence[str]) -> None:
    """`inv migrate`: what it prints stands on the screen; a failure with a name gets its fix."""
    if not this_task.dry:
        LOG.unlink(missing_ok=True)
    try:
        stack.migrate(arguments)
    except ChildFailed as failed:
        if failed.code == migrations.FAILED:
            raise problem("MIG02", sentence=ABOVE, log=whole_log()) from failed
        if named := migrations.cause(failed.code, ABOVE):
            raise named from failed
        raise


def beside_web(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run `manage.py migrate` beside a web that runs; of a failure the end of its traceback."""
    relay = Relay()
    done = process.receive(argv, relay.take, env=env, cwd=cwd)
    process.stop_if_interrupted(done.code)
    if done.code:
        lines = [line.rstrip() for line in done.err.splitlines() if line.strip()]
        if named := migrations.cause(done.code, lines[-1] if lines else ""):
            raise named
        keep(done.err)
        if done.code == migrations.FAILED:
            shown, failed = web_cause.traceback_of(lines[:-1]), migrations.plain(lines[-1])
            raise problem("MIG02", shown, sentence=failed, log=whole_log())
        applying = re.findall(r"Applying (\S+)\.\.\.", relay.text)
        shown = web_cause.traceback_of(lines) or "\n".join(lines[-web_cause.SHOWN :])
        failed = f"Migration {applying[-1]} failed." if applying else "The migrations failed."
        raise problem("MIG02", shown, sentence=failed, log=whole_log())


def keep(whole: str) -> None:
    """Keep what a migrate that failed has said."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    LOG.write_text(whole, encoding="utf-8")


def whole_log() -> str:
    """How all that was said of a failure can be read."""
    return f"less {LOG.relative_to(ROOT)}" if LOG.exists() else "see above"


class Relay:
    """Keeps what a migrate prints, and says at once for whom it waits."""

    def __init__(self) -> None:
        self.text = ""
        self.said = 0

    def take(self, piece: bytes) -> None:
        """One more piece of its output."""
        self.text += piece.decode(errors="replace")
        *lines, _ = self.text[self.said :].splitlines(keepends=True) or [""]
        for line in lines:
            self.said += len(line)
            if line.startswith(WAITING):
                console.say(line.strip())
