"""Why the web ended, or does not get ready: from its log, on either runtime.

Its supervisor ends each run with the line `Ended with status N`; the statuses are those of
djup_web/exits.py. For a traceback it is the name of the exception that counts.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from djup import REQUIREMENTS, ROOT
from djup.host import process
from djup.problems import Problem, problem
from djup.settings.layout import layout
from djup.stack.causes import login, migrations, remote
from djup.stack.causes.asked import Asked
from djup.stack.causes.readiness import Readiness

ENDED = re.compile(r"Ended with status (\d+)")
NO_DATABASE = os.EX_UNAVAILABLE
SETTINGS = os.EX_CONFIG
NO_DRIVER = "Error loading psycopg2 or psycopg module"  # Django's words
NO_ANSWER = "the database does not answer"  # what /readyz begins with then
NOT_MIGRATED = os.EX_DATAERR
MIGRATIONS_CONFLICT = os.EX_USAGE
SYNTAX = ("SyntaxError", "IndentationError", "TabError")
FILE = re.compile(r'File "(.+)", line (\d+)')
# What settings end with that require a variable: Python's own words, and those of the packages
# django-environ, python-decouple and environs.
UNSET = re.compile(
    r"""^KeyError: '([A-Z][A-Z0-9_]*)'$|Set the (\w+) environment variable"""
    r"""|(\w+) not found\. Declare it as envvar|Environment variable "(\w+)" not set"""
)
# What cffi, Python's loader, python-magic and GeoDjango say of a library of the system.
LIBRARY = re.compile(
    r"cannot load library '([^']+)'|(\S+\.so[.\d]*): cannot open shared object file"
    r"|failed to find (libmagic)|Could not find the (\w+) library"
)
TOOLKITS = "manage.py"  # the file of project/ that no fault is in
LINES = 200
SHOWN = 12


def problem_of(stack: Asked, log: str, state: str, said: str = "") -> Problem:
    """The problem that the last run in `log` ended with; `state` words how the web is, `said` is
    what else it has said, for where the log names no cause."""
    status, lines = _last_run(log)
    sentence = lines[-1] if lines else "it gave no reason"
    if status == NO_DATABASE:
        if misfit := _misfit(stack):
            return misfit
        if ended_without_names(stack, log, 0):
            return problem("DOCKER11.ended", web="web", db="db")
        return remote.refused(stack, sentence)
    if status == SETTINGS and NO_DRIVER in sentence:
        return problem("IMG06.libpq" if _lacks_libpq() else "IMG06")
    if status == SETTINGS:
        named = _unset(stack, "", sentence) or _library("", sentence)
        return named or problem("WEB04", sentence=sentence)
    if status == MIGRATIONS_CONFLICT:
        return problem("MIG04", sentence=lines[-2] if len(lines) > 1 else sentence)
    if named := migrations.cause(status, sentence):
        return named
    if status == NOT_MIGRATED:
        return problem("MIG02.web", traceback_of(lines), sentence=sentence)
    by_name = _of_exception(stack, lines) if status else None
    evidence = [*lines[-SHOWN:], *([said] if said else [])]
    return by_name or problem("WEB01", "\n".join(evidence), state=state)


def _lacks_libpq() -> bool:
    """Whether the driver that is locked is psycopg without a libpq of its own."""
    lock = REQUIREMENTS / "base.txt"
    text = lock.read_text(encoding="utf-8", errors="replace") if lock.exists() else ""
    return "\npsycopg==" in text and not re.search(r"(?m)^psycopg-(binary|c)==", text)


def waits_for_an_edit(log: str) -> bool:
    """Whether the server has ended, and its supervisor waits for a change of the code."""
    return bool(ENDED.match(log.rpartition("\n")[2]))


def still_holds(stack: Asked, log: str, state: str, ended: float) -> Problem:
    """Why a web ended at that time (in seconds since 1970), as far as that holds now."""
    if any(path.stat().st_mtime > ended for path in _edited()):
        return problem("RUN01", service="web")  # whether that fixed it, the next start will tell
    status, _ = _last_run(log)
    if status == migrations.LOCKED:
        return problem("RUN01", service="web")  # the next start will tell whether it is held now
    if status == NO_DATABASE and stack.settings.has_own_database:  # which is asked now
        return _misfit(stack) or problem("RUN01", service="web")
    return problem_of(stack, log, state)


def _edited() -> Iterator[Path]:
    """The files whose edit may have fixed the web."""
    yield ROOT / ".env"
    yield from REQUIREMENTS.glob("base.*")
    for folder, folders, files in os.walk(layout().folder):
        folders[:] = [name for name in folders if not name.startswith((".", "node_modules"))]
        yield from (Path(folder, name) for name in files if name.endswith((".py", ".html")))


def has_failed(log: str) -> bool:
    """Whether the last run in `log` ended by an error, and not because it was told to."""
    status, _ = _last_run(log)
    return status not in (0, *process.INTERRUPTED)


def of_running(stack: Asked, answer: Readiness, log: str) -> Problem:
    """The problem of a web that runs and is not ready: it waits for an edit, or its database."""
    settings = stack.settings
    if waits_for_an_edit(log):
        return problem_of(stack, log, f"waiting for a change in {layout().prefix or 'the code'}")
    if answer.conflicts:
        return problem("MIG04", sentence=f"{answer.reason}.")
    if named := migrations.cause(answer.status, f"{answer.reason}."):
        return named
    if answer.status == NOT_MIGRATED:
        return problem("MIG02.web", last_exception(log), sentence=f"{answer.reason}.")
    if settings.address and answer.reason.startswith(NO_ANSWER):
        reason = answer.reason.removeprefix(NO_ANSWER)
        return remote.refused(stack, f"no connection to {settings.address}{reason}.")
    evidence = "\n".join(log.splitlines()[-SHOWN:])
    misfit = _misfit(stack) or lost_names(stack, answer)
    return misfit or problem("WEB06", evidence, reason=answer.reason)


def ended_without_names(stack: Asked, log: str, code: int) -> bool:
    """Whether a service that runs the project's code ended because the name of the stack's own
    database led nowhere; `code` is the exit code of its container, `log` the end of its log."""
    status, lines = _last_run(log)
    ended = NO_DATABASE in (status, code)
    nameless = ended and re.search(remote.NO_NAME, "\n".join(lines[-1:]))
    return stack.settings.has_own_database and bool(nameless)


def lost_names(stack: Asked, answer: Readiness) -> Problem | None:
    """Whether the web no longer finds its database by name, though it runs."""
    if not re.search(remote.NO_NAME, answer.reason) or not stack.settings.has_own_database:
        return None
    return None if stack.finds_database() else problem("DOCKER11", web="web", db="db")


def _last_run(log: str) -> tuple[int, list[str]]:
    """The status that the last run ended with, 0 if it did not end by itself, and its lines."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    ended = ENDED.match(lines[-1]) if lines else None
    if ended:
        lines.pop()
    begin = max((n + 1 for n, line in enumerate(lines) if ENDED.match(line)), default=0)
    return int(ended[1]) if ended else 0, lines[begin:]


def _misfit(stack: Asked) -> Problem | None:
    """What the stack's own database says, which may be that it does not run."""
    try:
        return login.misfit(stack) if stack.settings.has_own_database else None
    except Problem as error:
        return error


def _of_exception(stack: Asked, lines: list[str]) -> Problem | None:
    """By the exception that stands last, as Python prints one: `Name: text`."""
    shown = traceback_of(lines)
    last = next((line for line in reversed(shown.splitlines()) if not line.startswith(" ")), "")
    name = last.partition(":")[0].rpartition(".")[2]
    if name in SYNTAX:
        return problem("WEB02", "\n".join(shown.splitlines()[-4:]), where=_place(shown))
    if name == "ModuleNotFoundError" and (module := re.search(r"'([^']+)'", last)):
        return _module_missing(module[1], shown)
    if named := _unset(stack, shown, last) or _library(shown, last):
        return named
    if any(_is_users_own(line) for line in shown.splitlines()):
        return problem("WEB08.place", shown, exception=last, where=_place(shown))
    return problem("WEB08", shown, exception=last) if shown else None


def _unset(stack: Asked, shown: str, last: str) -> Problem | None:
    """The problem of a variable that is required and has no value in `.env`, if it is that."""
    name = _first(UNSET, last)
    # Any dict raises a KeyError: the line that did has to read the environment.
    is_dict = last.startswith("KeyError") and "environ" not in shown
    if not name or is_dict or stack.settings.values.get(name):
        return None
    return problem("WEB11", shown, name=name)


def _library(shown: str, last: str) -> Problem | None:
    """The problem of a system library that a package needs, if it is that."""
    name = _first(LIBRARY, last)
    return problem("WEB12", shown, name=name) if name else None


def _first(pattern: re.Pattern[str], text: str) -> str:
    """What the one group holds by which a pattern of alternatives has found something."""
    found = pattern.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def _module_missing(name: str, shown: str) -> Problem:
    package = name.partition(".")[0]
    inside = layout().folder / package
    if inside.is_dir() or inside.with_suffix(".py").exists():
        return problem("WEB09", shown, name=name, where=_place(shown))
    return problem("WEB03", shown, name=name)


def last_exception(log: str) -> str:
    """The end of the last traceback in a log; '' if there is none."""
    return traceback_of([line.rstrip() for line in log.splitlines() if line.strip()])


def traceback_of(lines: list[str]) -> str:
    """The last traceback: what it was doing in the project's own files, and the exception."""
    # It may stand behind the unfinished line of a migration that is being applied.
    starts = [
        n for n, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")
    ]
    if not starts:
        return ""
    inside = lines[starts[-1] + 1 :]
    # What it was doing is indented; the exception, which may have several lines, is not.
    end = next((n for n, line in enumerate(inside) if not line.startswith(" ")), len(inside))
    return "\n".join([*_own_frames(inside[:end]), *inside[end : end + 2]])


def _own_frames(lines: list[str]) -> list[str]:
    """Of the frames (each a File line and what follows it) the last two in the project, else the
    last one; and of a syntax error, which has no frame, the place that it names."""
    begins = [n for n, line in enumerate(lines) if line.startswith('  File "')]
    frames = [lines[a:b] for a, b in zip(begins, [*begins[1:], len(lines)], strict=True)]
    own = [frame for frame in frames if _is_users_own(frame[0])]
    return [line for frame in (own[-2:] or frames[-1:]) for line in frame]


def _is_users_own(line: str) -> bool:
    place = FILE.search(line)
    inside = _inside(place[1]) if place else ""
    return bool(inside) and not inside.startswith(TOOLKITS)


def _inside(path: str) -> str:
    """A path within the project's folder, in the checkout as in the container; '' for one
    elsewhere."""
    for folder in ("/srv/project/", f"{layout().folder}/"):
        if path.startswith(folder) and "site-packages/" not in path:
            return path.removeprefix(folder)
    return ""


def _place(shown: str) -> str:
    """`project/config/settings.py line 3`, from the last File line of a traceback."""
    places = FILE.findall(shown)
    if not places:
        return layout().prefix or "the code"
    path, line = places[-1]
    inside = _inside(path)
    return f"{f'{layout().prefix}{inside}' if inside else path} line {line}"
