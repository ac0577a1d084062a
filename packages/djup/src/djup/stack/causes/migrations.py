"""Why a migrate failed: from the status that it ended with, and its sentence, to the problem.

The statuses are those of project/service/exits.py; the sentences are made in
project/service/failures.py and patience.py.
"""

import os
import re
import shlex
from collections.abc import Sequence

from djup import ROOT
from djup.host.checkout_lock import STATE
from djup.host.process import ChildFailed
from djup.postgres.sessions import end_session
from djup.problems import Problem, problem
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

LOG = STATE / "migrate.log"
LOG_KEY, ON_STDERR = "MIGRATE_LOG", "-"
FAILED = os.EX_DATAERR
LOCKED = os.EX_TEMPFAIL
WAITING = "Waiting for "
ABOVE = "the migrations failed for the reason above."


def cause(status: int, sentence: str) -> Problem | None:
    """The problem of a migrate that ended with this status; None if that has no name."""
    sentence = plain(sentence)
    match status:
        case os.EX_TEMPFAIL:
            ends = end_session(sessions(sentence), "inv psql")
            return problem("MIG05", sentence=sentence, end_session=ends)
        case os.EX_CANTCREAT:
            return invalid_index(sentence, index(sentence))
        case os.EX_PROTOCOL:
            return problem("MIG07", sentence=sentence)
        case os.EX_SOFTWARE:
            return problem("MIG08", sentence=sentence)
        case os.EX_NOINPUT:
            return problem("MIG09", sentence=sentence)
        case os.EX_IOERR:
            return problem("MIG10", sentence=sentence)
        case os.EX_OSFILE:
            return problem("DB18", sentence=sentence)
    return None


def invalid_index(sentence: str, index: str) -> Problem:
    """The problem of an index that a CREATE INDEX CONCURRENTLY has left; `index` as SQL has it."""
    drop = shlex.quote(f"DROP INDEX CONCURRENTLY {index}")
    return problem("MIG06", sentence=sentence, drop=drop)


def plain(line: str) -> str:
    """The sentence in a line: Django's may be unfinished before it, and names the exception."""
    unfinished, exception = r"\s*((Una|A)pplying \S+?\.\.\.\s*)?", "((Failure|Locked): )?"
    return re.sub(f"^{unfinished}{exception}", "", line)


def fix_of(status: int, sentence: str) -> str:
    """What fixes it in production; '' where correcting the migration does."""
    found = cause(status, sentence)
    if found is None:
        return ""
    return found.fix.replace("inv psql", "inv deploy.psql").replace(
        "run: inv up", "run: inv deploy"
    )


def sessions(sentence: str) -> list[str]:
    """The server processes that a sentence says how to end."""
    return re.findall(r"pg_terminate_backend\((\d+)\)", sentence)


def index(sentence: str) -> str:
    """The invalid index that a sentence names, as SQL has it."""
    found = re.search(r"the invalid index (.+) on ", sentence)
    return found[1] if found else "NAME"


def by_hand(stack: Stack, arguments: Sequence[str]) -> None:
    """`inv migrate`: what it prints stands on the screen; a failure with a name gets its fix."""
    if not this_task.dry:
        LOG.unlink(missing_ok=True)
    try:
        stack.migrate(arguments)
    except ChildFailed as failed:
        if failed.code == FAILED:
            raise problem("MIG02", sentence=ABOVE, log=whole_log()) from failed
        if named := cause(failed.code, ABOVE):
            raise named from failed
        raise


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
