"""Requirements that no lock has, and so no machine installs: of an .in file, and of a key."""

import re
from itertools import zip_longest
from pathlib import Path

from djup import HERE, IS_ADOPTED, REQUIREMENTS
from djup.problems import Problem, problem
from djup.terminal import console

# A package that an .in file names, and the versions that it asks for: no option, URL or comment.
# One with a marker may rightly be missing in the lock, if no Python or system has a need of it.
NAMED = re.compile(
    r"^[ \t]*([A-Za-z0-9][\w.-]*)[ \t]*(?=[\[<>=!~@(#]|$)(?:\[[^\]\n]*\])?([^;#\n]*)(?=#|$)", re.M
)
LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]\n]*\])?(?:==([\w.!+-]+))?", re.M)
REPORTER = "sentry-sdk"
VERSIONS = re.compile(r"(==|>=|<=|~=|!=|<|>)\s*(\d+(?:\.\d+)*)")


def unlocked(file: Path) -> list[str]:
    """What an .in file asks for and its lock lacks, or has in a version that does not fit."""
    lock = file.with_suffix(".txt")
    locked = {_plain(name): version for name, version in _matches(LOCKED, lock)}
    missing = {_plain(name) for name, _ in _matches(NAMED, file)} - locked.keys()
    others = [
        f"{_plain(name)}{asked.strip()} ({locked[_plain(name)]} is locked)"
        for name, asked in _matches(NAMED, file)
        if not _fits(locked.get(_plain(name), ""), asked)
    ]
    return [*sorted(missing), *dict.fromkeys(others)]


def locks(lock: Path, package: str) -> bool:
    """Whether a lock has a package."""
    return any(_plain(name) == _plain(package) for name, _ in _matches(LOCKED, lock))


def tell_of_unlocked() -> None:
    """Say what the environment of the web will not have, though base.in asks for it."""
    if absent := unlocked(REQUIREMENTS / "base.in"):
        names = ", ".join(absent)
        console.say(f"{HERE}/base.in requires {names}, which base.txt lacks: run inv lock")


def unreported(dsn: str, *locks: str) -> Problem | None:
    """The problem of a SENTRY_DSN for which none of these locks has the package; None without one,
    and in a project that was adopted, whose own code may read that key by other means."""
    files = [REQUIREMENTS / f"{lock}.txt" for lock in locks]
    locked = {_plain(name) for file in files for name, _ in _matches(LOCKED, file)}
    if not dsn or IS_ADOPTED or REPORTER in locked:
        return None
    return problem("PKG07", package=REPORTER, file=f"{HERE}/base.in", lock=f"{HERE}/base.txt")


def _matches(pattern: re.Pattern[str], file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    return pattern.findall(file.read_text(encoding="utf-8", errors="replace"))


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()  # as PyPI compares names


def _fits(version: str, asked: str) -> bool:
    """Whether a locked version is one that was asked for; of other than numbers nobody can tell."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return True
    clauses = map(_parsed, asked.strip(" ()").split(","))
    return all(_is(version, *clause) for clause in clauses if clause)


def _parsed(clause: str) -> tuple[str, str] | None:
    match = VERSIONS.fullmatch(clause.strip())
    return (match[1], match[2]) if match else None


def _is(version: str, sign: str, bound: str) -> bool:
    pairs = list(zip_longest(_numbers(version), _numbers(bound), fillvalue=0))
    ours, theirs = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    fixed = len(_numbers(bound)) - 1
    return {
        "==": ours == theirs,
        "!=": ours != theirs,
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        "<": ours < theirs,
        "~=": ours >= theirs and ours[:fixed] == theirs[:fixed],
    }[sign]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
