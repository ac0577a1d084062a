"""Why a migrate failed: from the status that it ended with, and its sentence, to the problem.

The statuses are those of djup_web/exits.py; the sentences are made in
djup_web/failures.py and patience.py.
"""

import os
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from djup.postgres.sessions import end_session
from djup.problems import Problem, problem

FAILED = os.EX_DATAERR
LOCKED = os.EX_TEMPFAIL


APPLYING = re.compile(r"(?m)^\s*(?:Una|A)pplying (\S+)\.\.\.")
STEP_SECONDS = 60  # that a migrate which goes on is given more, each time it is asked about


@dataclass
class Progress:
    """What a migrate was last seen to apply, and until when it is waited for (monotonic): one that
    goes on is slow, and not stuck."""

    applied: str = ""
    until: float = 0.0

    def has_time(self, log: Callable[[], str | None]) -> bool:
        """Whether it applied another migration within the last minute; `log` gives the web's."""
        now = time.monotonic()
        if now >= self.until and self.goes_on(log() or ""):
            self.until = now + STEP_SECONDS
        return now < self.until

    def goes_on(self, log: str) -> bool:
        """Whether the last migration in a web's log is another one than when this was asked
        before."""
        before, self.applied = self.applied, ["", *APPLYING.findall(log)][-1]
        return self.applied not in ("", before)


def cause(status: int, sentence: str) -> Problem | None:
    """The problem of a migrate that ended with this status; None if that has no name."""
    sentence = plain(sentence)
    match status:
        case os.EX_TEMPFAIL:
            ends = end_session(sessions(sentence), "inv psql")
            return problem("MIG05", sentence=sentence, end_session=ends)
        case os.EX_CANTCREAT:
            return invalid_index(sentence, index(sentence))
        case os.EX_NOUSER:
            return problem("MIG12", sentence=sentence)
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
    known = cause(status, sentence)
    if known is None:
        return ""
    return known.fix.replace("inv psql", "inv deploy.psql").replace(
        "run: inv up", "run: inv deploy"
    )


def sessions(sentence: str) -> list[str]:
    """The server processes that a sentence says how to end."""
    return re.findall(r"pg_terminate_backend\((\d+)\)", sentence)


def index(sentence: str) -> str:
    """The invalid index that a sentence names, as SQL has it."""
    named = re.search(r"the invalid index (.+) on ", sentence)
    return named[1] if named else "NAME"
