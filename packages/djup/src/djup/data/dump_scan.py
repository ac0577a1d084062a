"""What the SQL of a plain dump asks for, as it streams by: roles, settings, what to leave out.

pg_dump puts a comment before each object, and each statement that matters here on a line of its
own.
"""

import re
from dataclasses import dataclass, field

from djup.data.dump_lines import Line, Lines

HEADER, FOOTER = b"-- PostgreSQL database dump", b"-- PostgreSQL database dump complete"

COPY = re.compile(rb"COPY .* FROM stdin;\s*")

NAME = rb'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
# What would leave the database that is being restored, or run a program.
LEAVES = re.compile(
    rb"\\(?!restrict\b|unrestrict\b)\S.*|(?:CREATE|DROP|ALTER)\s+DATABASE\s.*"
    rb"|(?:COMMENT|SECURITY LABEL|GRANT|REVOKE)\s(?:.*\s)?ON\s+DATABASE\s.*",
    re.IGNORECASE,
)
# What pg_dump writes of the database itself (--create, and ACL or COMMENT of it).
OF_DATABASE = re.compile(
    rb"|--.*|SET .*;|SELECT pg_catalog\.set_config\(.*;"
    rb"|\\(?:restrict|unrestrict|connect|encoding) .*"
    rb"|(?:CREATE|ALTER) DATABASE .*|(?:COMMENT|SECURITY LABEL) .*ON DATABASE .*"
    rb"|(?:GRANT|REVOKE) .* ON DATABASE .*"
)
# What --clean drops before anything is made: in a new database there is none of it.
DROPS = re.compile(
    rb"DROP .*;|ALTER .* DROP .*;|SELECT pg_catalog\.lo_unlink\(.*;|CREATE OR REPLACE VIEW .*"
)
SECTION = re.compile(rb"-- (?:Data for )?Name: (.*); Type: (.*); Schema: .*; Owner: .*")
DETAILS = (b"-- TOC entry ", b"-- Dependencies: ")  # what --verbose adds to it
SETTING = re.compile(rb"SET (\w+) = .*;")
CREATES_PUBLIC = b"CREATE SCHEMA public;"
OWNER_OF_PUBLIC = b"ALTER SCHEMA public OWNER TO "
RIGHTS = re.compile(rb"ALTER (?!DEFAULT ).* OWNER TO .*;|(?:GRANT|REVOKE|ALTER DEFAULT) .*;")
OF_ROLES = re.compile(
    rb"(?:ALTER .* OWNER TO|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|CREATE POLICY|SET ROLE"
    rb"|SET SESSION AUTHORIZATION)\s.*"
)
ROLES = re.compile(
    rb"\b(?:OWNER TO|TO|FROM|FOR ROLE|SET ROLE|AUTHORIZATION)\s+(%b(?:\s*,\s*%b)*)" % (NAME, NAME)
)
NO_ROLES = {"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE", "NONE", "DEFAULT"}

Range = tuple[int, int]  # bytes of the dump: from, to


@dataclass
class Preamble:
    """What pg_dump writes before the first object: settings by their names, and what --clean
    drops."""

    settings: dict[str, Range] = field(default_factory=dict)
    drops: list[Range] = field(default_factory=list)
    drops_database: str = ""
    _in_view: bool = False

    def take(self, line: Line) -> bool:
        """Whether the line is part of it."""
        if setting := SETTING.fullmatch(line.text):
            self.settings[setting[1].decode()] = (line.begin, line.end)
            return True
        if not self._in_view and not DROPS.fullmatch(line.text):
            return False
        self._drop(line)
        return True

    def _drop(self, line: Line) -> None:
        if line.text.startswith(b"DROP DATABASE "):
            self.drops_database = self.drops_database or _shown(line.text)
        if self._in_view or line.text.startswith(b"CREATE OR REPLACE VIEW "):
            self._in_view = not line.text.endswith(b";")
        self.drops.append((line.begin, line.end))


@dataclass
class Scan:
    """What was found so far.

    `cuts` are what a restore into a new database leaves out: what --clean drops, what --create
    makes, the schema public. `rights` are the owners and grants, `leaves` is a line that would
    leave the database.
    """

    roles: set[str] = field(default_factory=set)
    leaves: str = ""
    has_header: bool = False
    has_footer: bool = False
    makes_public: bool = False
    cuts: list[Range] = field(default_factory=list)
    rights: list[Range] = field(default_factory=list)
    _preamble: Preamble = field(default_factory=Preamble)
    _has_objects: bool = False
    _comment_from: int | None = None  # of what may be the comment before an object
    _database_from: int | None = None  # of a section that is of the database itself

    def __post_init__(self) -> None:
        self._lines = Lines(self._see)

    @property
    def settings(self) -> dict[str, Range]:
        """The SET lines before all else, by name."""
        return self._preamble.settings

    @property
    def size(self) -> int:
        """How many bytes were looked at."""
        return self._lines.size

    @property
    def rest(self) -> bytes:
        """What is kept in memory until more has come."""
        return self._lines.rest

    @property
    def cut_off(self) -> bool:
        """Whether its end is missing: pg_dump writes a last line, and ends what it copies."""
        return self._lines.in_rows or (self.has_header and not self.has_footer)

    def take(self, piece: bytes) -> None:
        """Look at the next piece."""
        self._lines.take(piece)

    def end(self) -> None:
        """The input has ended."""
        self._lines.end()
        self._end_database(self.size)
        if not self._has_objects:
            self._leave(self._preamble.drops_database)

    def _see(self, line: Line) -> bool:
        """Look at a line; return whether rows follow."""
        if line.text.startswith(b"--"):
            self._comment(line)
            return False
        self._comment_from = None
        if self._database_from is None and COPY.fullmatch(line.text):
            return True
        self._statement(line)
        return False

    def _statement(self, line: Line) -> None:
        """A line of a statement, by the part of the dump that it is in."""
        if self._database_from is not None:
            if not OF_DATABASE.fullmatch(line.text):
                self._leave(_shown(line.text))
        elif self.has_header and not self._has_objects and self._preamble.take(line):
            return
        elif LEAVES.fullmatch(line.text):
            self._leave(_shown(line.text))
        else:
            self._note_roles(line)
            self._note_public(line)

    def _comment(self, line: Line) -> None:
        """A comment: the head or the foot of the dump, or what stands before an object."""
        self.has_header |= line.text == HEADER
        if line.text == b"--":
            self._comment_from = line.begin
        elif line.text.startswith(FOOTER):
            self._footer(line)
        elif section := self._section(line.text):
            self._object(name=section[1], kind=section[2])
        elif not line.text.startswith(DETAILS):
            self._comment_from = None

    def _footer(self, line: Line) -> None:
        self.has_footer = True
        begun, self._comment_from = self._comment_from, None
        self._end_database(line.begin if begun is None else begun)

    def _section(self, text: bytes) -> re.Match[bytes] | None:
        """The comment before an object, where a comment begins and pg_dump wrote the dump."""
        begun = self.has_header and self._comment_from is not None
        return SECTION.fullmatch(text) if begun else None

    def _object(self, name: bytes, kind: bytes) -> None:
        """An object begins with its comment: one that is the database's own is left out."""
        begin = self._comment_from or 0
        self._end_database(begin)
        of_database = kind.startswith(b"DATABASE") or name.startswith(b"DATABASE ")
        if not self._has_objects:
            self._begin_objects(of_database)
        if of_database:
            self._database_from = begin

    def _begin_objects(self, of_database: bool) -> None:
        """The first object ends the preamble; the drop of a database belongs to its creation."""
        self._has_objects = self._lines.skips_inserts = True
        self.cuts += self._preamble.drops
        if not of_database:
            self._leave(self._preamble.drops_database)

    def _end_database(self, end: int) -> None:
        """Leave out the section of the database that was begun, if one was."""
        if self._database_from is not None:
            self.cuts.append((self._database_from, end))
            self._database_from = None

    def _note_roles(self, line: Line) -> None:
        if OF_ROLES.fullmatch(line.text):
            for names in ROLES.findall(line.text):
                self.roles |= {_role(name) for name in re.findall(NAME, names)} - NO_ROLES
        if RIGHTS.fullmatch(line.text):
            self.rights.append((line.begin, line.end))

    def _note_public(self, line: Line) -> None:
        """A new database has the schema public, which pg_dump --schema makes."""
        creates = line.text == CREATES_PUBLIC
        self.makes_public |= creates
        if creates or (self.makes_public and line.text.startswith(OWNER_OF_PUBLIC)):
            self.cuts.append((line.begin, line.end))

    def _leave(self, shown: str) -> None:
        """Keep the first line that would leave the database."""
        self.leaves = self.leaves or shown


def without(piece: bytes, begin: int, cuts: list[Range]) -> bytes:
    """A piece of a dump, at `begin` of it, less what lies in the `cuts`, which are in order."""
    kept, at, end = [], begin, begin + len(piece)
    for first, last in cuts:
        if last > at and first < end:
            kept.append(piece[at - begin : max(first, at) - begin])
            at = min(last, end)
    return b"".join((*kept, piece[at - begin :])) if kept else piece


def _shown(line: bytes) -> str:
    return line[:80].decode(errors="replace")


def _role(name: bytes) -> str:
    text = name.decode(errors="replace")
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text if text.upper() in NO_ROLES else text.lower()
