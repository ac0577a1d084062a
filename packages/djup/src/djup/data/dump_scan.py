"""What the SQL of a plain dump asks for, as it streams by: roles, settings, what to leave out.

pg_dump puts a comment before each object, and each statement that matters here on a line of its
own. Text within quotes is never looked at: a row may hold anything.
"""

import re
from dataclasses import dataclass, field

LONGEST_LINE = 1 << 16  # bytes of a line that are looked at
LONGEST_TOKEN = 80  # bytes; a name has 63 at most
HEADER, FOOTER = b"-- PostgreSQL database dump", b"-- PostgreSQL database dump complete"

COPY = re.compile(rb"COPY .* FROM stdin;\s*")
COPY_END = re.compile(rb"\n\\\.\r?\n")
# Lines that hold nothing open, the quick way: most of a dump made with --inserts.
INSERT = re.compile(rb"INSERT INTO (?:[^'\"$/\n-]+|(?<![eE])'[^']*'|\"[^\"]*\"|-(?!-)|/(?!\*))*+\n")
OPENING = re.compile(rb"--|/\*|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$|[eE]?'|\"")
CLOSING = {b"/*": b"*/", b"--": b"\n"}
ESCAPED = re.compile(rb"[^'\\]*+(?:\\.[^'\\]*+)*+", re.DOTALL)  # within E'…'

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
class Scan:
    """What was found so far.

    `cuts` are what a restore into a new database leaves out: what --clean drops, what --create
    makes, the schema public. `settings` are the SET lines before all else, by name; `rights` the
    owners and grants.
    """

    roles: set[str] = field(default_factory=set)
    leaves: str = ""
    has_header: bool = False
    has_footer: bool = False
    makes_public: bool = False
    cuts: list[Range] = field(default_factory=list)
    rights: list[Range] = field(default_factory=list)
    settings: dict[str, Range] = field(default_factory=dict)
    size: int = 0
    in_copy: bool = False
    rest: bytes = b""
    _open: bytes = b""  # what ends the quoted text, or the comment, that is open
    _within: bool = False  # a line whose beginning was looked at
    _begun: int | None = None  # where the comment began that may be an object's
    _objects: bool = False  # whether there was one already
    _drops: list[Range] = field(default_factory=list)
    _drops_database: str = ""
    _in_view: bool = False
    _cut_from: int | None = None

    def take(self, piece: bytes) -> None:
        """Look at the next piece; what is left of it belongs to the one after."""
        text = self.rest + piece
        base = self.size - len(self.rest)  # where in the dump `text` begins
        self.size += len(piece)
        begin, start = 0, self._next(text, 0, base)
        while start is not None and start > begin:
            begin, start = start, self._next(text, start, base)
        self.rest = text[begin:]

    def end(self) -> None:
        """There is no more."""
        if self.rest and not self.in_copy:
            self.take(b"\n")
            self.size -= 1
        if self._cut_from is not None:
            self._cut_until(self.size)
        if self._drops_database and not self._objects:
            self.leaves = self.leaves or self._drops_database

    @property
    def cut_off(self) -> bool:
        """Whether its end is missing: pg_dump writes a last line, and ends what it copies."""
        return self.in_copy or (self.has_header and not self.has_footer)

    def _next(self, text: bytes, begin: int, base: int) -> int | None:
        """Where the next part begins; None, or no further on, where more text is needed."""
        if self.in_copy:
            return self._rows(text, begin)
        if self._open:
            return self._quoted(text, begin)
        if not self._within and self._objects and (line := INSERT.match(text, begin)):
            return line.end()
        end = text.find(b"\n", begin)
        if not self._within:
            if end < 0 and len(text) - begin < 2 * LONGEST_LINE:
                return None
            last = min(end if end >= 0 else len(text), begin + LONGEST_LINE)
            self._look_at(text[begin:last].rstrip(b"\r"), base + begin, base + max(end, last) + 1)
            if self.in_copy:
                # The newline before an end of rows that follows at once is looked at again.
                return end
            self._within = True
        return self._unquoted(text, begin, end)

    def _rows(self, text: bytes, begin: int) -> int:
        """Past the rows that are copied, or to where their end may begin."""
        if found := COPY_END.search(text, begin):
            self.in_copy = False
            return found.end()
        return max(begin, len(text) - 4)

    def _quoted(self, text: bytes, begin: int) -> int:
        """Past what is in quotes, or to where its end may begin."""
        if self._open == b"E'":
            found = ESCAPED.match(text, begin)
            assert found
            if text[found.end() : found.end() + 1] != b"'":
                return found.end()
            self._open = b""
            return found.end() + 1
        end = text.find(self._open, begin)
        if end < 0:
            return max(begin, len(text) - len(self._open) + 1)
        end += len(self._open)
        self._within = self._open != b"\n"
        self._open = b""
        return end

    def _unquoted(self, text: bytes, begin: int, end: int) -> int:
        """Past the line, or past the first quote in it, or as far as no quote can have begun."""
        found = OPENING.search(text, begin, end if end >= 0 else len(text))
        while found and _within_a_name(text, found):
            found = OPENING.search(text, found.start() + 1, end if end >= 0 else len(text))
        if found and not (end < 0 and len(text) - found.start() < LONGEST_TOKEN):
            word = found[0].upper() if found[0] in (b"e'", b"E'") else found[0]
            self._open = CLOSING.get(word, word)
            return found.end()
        if end < 0:
            return max(begin, (found.start() if found else len(text)) - LONGEST_TOKEN)
        self._within = False
        return end + 1

    def _look_at(self, line: bytes, begin: int, end: int) -> None:
        """A line that begins outside of quotes, and where it is in the dump."""
        if line.startswith(b"--"):
            self._comment(line, begin)
            return
        self._begun = None
        if self._cut_from is not None:
            if not OF_DATABASE.fullmatch(line):
                self._leave(line)
        elif COPY.fullmatch(line):
            self.in_copy = True
        elif self.has_header and not self._objects and self._before_objects(line, begin, end):
            return
        elif LEAVES.fullmatch(line):
            self._leave(line)
        else:
            self._of_roles(line, begin, end)
            self._of_public(line, begin, end)

    def _comment(self, line: bytes, begin: int) -> None:
        self.has_header |= line == HEADER
        self.has_footer |= line.startswith(FOOTER)
        if line == b"--":
            self._begun = begin
        elif self.has_header and self._begun is not None and (found := SECTION.fullmatch(line)):
            self._object(found[1], found[2])
        elif line.startswith(FOOTER) and self._cut_from is not None:
            self._cut_until(begin if self._begun is None else self._begun)
        elif not line.startswith(DETAILS):
            self._begun = None

    def _object(self, name: bytes, kind: bytes) -> None:
        """The comment before an object: what is the database's own is left out."""
        begin = self._begun or 0
        if self._cut_from is not None:
            self._cut_until(begin)
        own = kind.startswith(b"DATABASE") or name.startswith(b"DATABASE ")
        if not self._objects:
            self._objects = True
            self.cuts += self._drops
            if self._drops_database and not own:
                self.leaves = self.leaves or self._drops_database
        if own:
            self._cut_from = begin

    def _cut_until(self, end: int) -> None:
        assert self._cut_from is not None
        self.cuts.append((self._cut_from, end))
        self._cut_from = None

    def _before_objects(self, line: bytes, begin: int, end: int) -> bool:
        """Whether it is one of the lines that a dump begins with: settings, and drops."""
        if found := SETTING.fullmatch(line):
            self.settings[found[1].decode()] = (begin, end)
            return True
        if not self._in_view and not DROPS.fullmatch(line):
            return False
        if line.startswith(b"DROP DATABASE "):
            self._drops_database = self._drops_database or _shown(line)
        if self._in_view or line.startswith(b"CREATE OR REPLACE VIEW "):
            self._in_view = not line.endswith(b";")
        self._drops.append((begin, end))
        return True

    def _of_roles(self, line: bytes, begin: int, end: int) -> None:
        if OF_ROLES.fullmatch(line):
            for names in ROLES.findall(line):
                self.roles |= {_role(name) for name in re.findall(NAME, names)} - NO_ROLES
        if RIGHTS.fullmatch(line):
            self.rights.append((begin, end))

    def _of_public(self, line: bytes, begin: int, end: int) -> None:
        """A new database has the schema public, which pg_dump --schema makes."""
        self.makes_public |= line == CREATES_PUBLIC
        if line == CREATES_PUBLIC or (self.makes_public and line.startswith(OWNER_OF_PUBLIC)):
            self.cuts.append((begin, end))

    def _leave(self, line: bytes) -> None:
        self.leaves = self.leaves or _shown(line)


def without(piece: bytes, begin: int, cuts: list[Range]) -> bytes:
    """A piece of a dump, at `begin` of it, less what lies in the `cuts`, which are in order."""
    kept, at, end = [], begin, begin + len(piece)
    for first, last in cuts:
        if last > at and first < end:
            kept.append(piece[at - begin : max(first, at) - begin])
            at = min(last, end)
    return b"".join((*kept, piece[at - begin :])) if kept else piece


def _within_a_name(text: bytes, found: re.Match[bytes]) -> bool:
    """Whether a dollar sign, or the letter before a quote, is part of a name."""
    if found[0][:1] not in b"$eE":
        return False
    before = text[found.start() - 1 : found.start()] if found.start() else b" "
    return before.isalnum() or before in (b"_", b"$") or before >= b"\x80"


def _shown(line: bytes) -> str:
    return line[:80].decode(errors="replace")


def _role(name: bytes) -> str:
    text = name.decode(errors="replace")
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text if text.upper() in NO_ROLES else text.lower()
