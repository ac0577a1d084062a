"""The door to git: what it says of this checkout, and why it says nothing."""

import errno
import os
import re
from pathlib import Path

from djup.host import process
from djup.problems import Problem, problem

FATAL = 128  # what git ends with where it can say nothing at all
MISSING = (126, 127)  # what stands for no command git
# Of a folder without a repository, and of a repository without a commit.
NOTHING_THERE = ("not a git repository (or any", "Needed a single revision")
TRUST = re.compile(r"git config --global --add safe\.directory .+")


def ask(*arguments: str, folder: Path | None = None, stdin: str = "") -> process.Result:
    """Ask git about a folder, or this checkout. In English: a refusal's cause is in its words."""
    place = ["-C", str(folder)] if folder else []
    argv = ["git", *place, *arguments]
    return process.run(argv, env={**os.environ, "LC_ALL": "C"}, stdin=stdin)


def answer(*arguments: str, folder: Path | None = None, stdin: str = "") -> str:
    """The output of a question that git has to answer; raise the problem if it does not."""
    done = ask(*arguments, folder=folder, stdin=stdin)
    if done.code:
        raise cause(done)
    return done.out


def listed(*paths: str) -> list[str]:
    """The files within these paths that git knows, from the root of the checkout."""
    words = ("-c", "core.quotePath=false", "ls-files", "-z", "--", *paths)
    return [path for path in answer(*words).split("\0") if path]


def refusal(done: process.Result) -> Problem | None:
    """The problem with a repository that is there, if it is the reason for this result."""
    if done.code != FATAL or any(words in done.err for words in NOTHING_THERE):
        return None
    return cause(done)


def cause(done: process.Result) -> Problem:
    """The problem that git tells of in a result that is not good."""
    lines = [line.strip().removeprefix("fatal: ") for line in done.err.strip().splitlines()]
    if trusts := TRUST.search(done.err):
        return problem("ENV17.owner", reason=lines[0].rstrip("."), trust=trusts[0])
    if os.strerror(errno.ENOSPC) in done.err:
        return problem("SYS01", reason=lines[-1])
    reason = " ".join(lines) or "it gives no reason"
    return problem("ENV17", reason=reason.rstrip("."))
