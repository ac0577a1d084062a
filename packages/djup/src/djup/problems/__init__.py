"""Every problem has a code, and docs/problems.md says what happened and how to fix it.

    ### DB05

    **The data belong to another major version of PostgreSQL**

        what: the volume holds data of PostgreSQL {found}; {image} is another major version.
        fix: set POSTGRES_IMAGE={back} in .env, then run: inv up
        fix.older: inv db.upgrade  (migrates the data; inv undo goes back). Or set
          POSTGRES_IMAGE={back} in .env, then run: inv up

`problem("DB05", …)` fills `what`, `fix` and, where there is one, `log`; `problem("DB05.older", …)`
the lines with that name instead, if there are any. A code never changes, because people look it
up. Nothing branches on a code: a problem that a caller handles has its own class, in `CLASSES`.
"""

import re
import string
from dataclasses import dataclass
from functools import cache

from djup import IS_INSTALLED, ROOT, is_checkout
from djup.problems import documents

PAGE = "docs/problems.md"
KEYS = ("what", "fix", "log")
# Compiled when something fails, not at each start.
SECTION = (
    r"(?m)^### (?P<code>[A-Z]+\d\d)\n\n\*\*(?P<title>.+)\*\*\n\n(?P<words>(?: {4}.+\n)+)\n"
    r"(?P<text>(?:(?!###? ).*\n)*)"
)
TEMPLATE = r"(?m)^    (\S+): (.*(?:\n      .*)*)"
PRINTED = r"(?m)^error (?P<code>[A-Z]+\d\d): (?P<what>.*)\n  fix: (?P<fix>.*)"
FIELD = r"\{(\w+)\}"


class Problem(Exception):
    """Something that a user can fix: one sentence, and the command or edit that fixes it.

    `evidence` are the few lines of a log that prove it, `log` is the command that shows all of it.
    """

    def __init__(self, code: str, what: str, fix: str, evidence: str = "", log: str = "") -> None:
        super().__init__(f"{code}: {what}")
        self.code, self.what, self.fix = code, what, fix
        self.evidence, self.log = evidence, log

    def as_note(self) -> str:
        """Format a problem that does no harm yet."""
        return f"note {self.code}: {self.what}\n  fix: {self.fix}"

    def __str__(self) -> str:
        quoted = [f"  | {line}".rstrip() for line in self.evidence.splitlines()]
        log = [f"  log: {self.log}"] if self.log else []
        docs = [f"  docs: {where}"] if (where := _where(self.code)) else []
        error = (f"error {self.code}: {self.what}", f"  fix: {self.fix}")
        return "\n".join((*quoted, *error, *log, *docs))


class EngineProblem(Problem):
    """Docker or Compose is missing, does not answer, or cannot be used."""


class WrongPassword(Problem):
    """SQL_PASSWORD is not the password that the database's user has."""


class DatabaseStarts(Problem):
    """The database runs, and accepts no connection yet."""


class ProgramsTooOld(Problem):
    """PostgreSQL's programs are older than the server, or than the tasks need."""


class OldUserModel(Problem):
    """The database has Django's user model, and the code has one of its own."""


class NotRunning(Problem):
    """A service that is needed does not run."""


class BelongsToAnother(Problem):
    """A file belongs to another user, and we have no access."""


# By the code, or by its letters where all of a kind are one class. As OSError has FileNotFoundError
# for ENOENT, so callers catch a class and never compare codes.
CLASSES: dict[str, type[Problem]] = {
    "DOCKER": EngineProblem,
    "DB02": WrongPassword,
    "DB22": DatabaseStarts,
    "DB19": ProgramsTooOld,
    "MIG12": OldUserModel,
    "RUN01": NotRunning,
    "SYS06": BelongsToAnother,
}


@dataclass(frozen=True)
class Section:
    """A section of the page; `words` has its templates by name, such as `fix.older`."""

    code: str
    title: str
    words: dict[str, str]
    text: str

    def template(self, key: str, variant: str) -> str:
        """Return the template of a variant, or else the common one; '' without any."""
        return self.words.get(f"{key}.{variant}", self.words.get(key, ""))


def problem(name: str, evidence: str = "", /, **fields: str | int) -> Problem:
    """Create the problem of a code or a variant (DB05.older); `fields` are those of its section."""
    code, _, variant = name.partition(".")
    section = _section(code)
    if section is None:
        return _without_words(code, evidence, fields)
    what, fix, log = (_filled(section.template(k, variant), fields) for k in KEYS)
    return _class_of(code)(code, what, fix, evidence, log)


def relayed(said: str) -> Problem | None:
    """Give the problem that another program of ours has printed; None where it printed none."""
    found = re.search(PRINTED, said)
    return Problem(found["code"], found["what"], found["fix"]) if found else None


def _where(code: str) -> str:
    """Return where a code is explained: the page or, in a project without it, the task that shows
    it; '' outside a checkout."""
    if not IS_INSTALLED:
        return f"{PAGE}#{code.lower()}"
    return f"inv explain {code}" if is_checkout(ROOT) else ""


def _class_of(code: str) -> type[Problem]:
    return CLASSES.get(code) or CLASSES.get(code.rstrip(string.digits), Problem)


def _section(code: str) -> Section | None:
    try:
        return sections().get(code)
    except (OSError, UnicodeDecodeError):
        return None


def _without_words(code: str, evidence: str, fields: dict[str, str | int]) -> Problem:
    facts = ", ".join(f"{key} {value}" for key, value in fields.items())
    what = (
        f"{PAGE}, which has the text of this error, cannot be read{f' ({facts})' if facts else ''}."
    )
    repair = "rm -r .venv" if IS_INSTALLED else f"git checkout -- {PAGE}"
    fix = f"{repair}, then run the same command again"
    return _class_of(code)(code, what, fix, evidence)


@cache
def sections() -> dict[str, Section]:
    """Return the sections of the page by code. It is read once, when something fails."""
    matches = re.finditer(SECTION, _page())
    return {match["code"]: _parsed(**match.groupdict()) for match in matches}


def _page() -> str:
    if not IS_INSTALLED:
        return (ROOT / PAGE).read_text(encoding="utf-8")
    from pkgutil import get_data

    # From within a wheel, too, which the launcher runs to install it.
    return documents.located((get_data("djup", f"files/{PAGE}") or b"").decode())


def _parsed(code: str, title: str, words: str, text: str) -> Section:
    templates = {key: re.sub(r"\n {6}", " ", said) for key, said in re.findall(TEMPLATE, words)}
    return Section(code, title, templates, text.strip("\n"))


def _filled(template: str, fields: dict[str, str | int]) -> str:
    return re.sub(FIELD, lambda match: str(fields.get(match[1], match[0])), template)
