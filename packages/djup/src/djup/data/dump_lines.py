"""The SQL of a plain dump as lines, as it streams by.

Text within quotes is never looked at: a row may hold anything.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

LONGEST_LINE = 1 << 16  # bytes of a line that are looked at
LONGEST_TOKEN = 80  # bytes; a name has 63 at most

ROWS_END = re.compile(rb"\n\\\.\r?\n")
# Lines that hold nothing open, the quick way: most of a dump made with --inserts.
INSERT = re.compile(rb"INSERT INTO (?:[^'\"$/\n-]+|(?<![eE])'[^']*'|\"[^\"]*\"|-(?!-)|/(?!\*))*+\n")
OPENING = re.compile(rb"--|/\*|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$|[eE]?'|\"")
CLOSING = {b"/*": b"*/", b"--": b"\n"}
ESCAPES = b"E'"  # the only quotes in which a backslash escapes
ESCAPED = re.compile(rb"[^'\\]*+(?:\\.[^'\\]*+)*+", re.DOTALL)  # within E'…'


class Line(NamedTuple):
    """A line that begins outside of quotes, and where it is in the dump."""

    text: bytes
    begin: int
    end: int


@dataclass
class Lines:
    """Finds the lines of a dump that comes in pieces.

    `see` gets each line that begins outside of quotes, and says whether rows follow it, as after
    COPY. `skips_inserts` passes over INSERT statements without a look. `rest` is the end of what
    came, as long as it is not a whole part.
    """

    see: Callable[[Line], bool]
    skips_inserts: bool = False
    size: int = 0
    in_rows: bool = False
    rest: bytes = b""
    _open: bytes = b""  # what ends the quoted text, or the comment, that is open
    _within: bool = False  # a line whose beginning was looked at

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
        """The input has ended: the rest is the last line."""
        if self.rest and not self.in_rows:
            self.take(b"\n")
            self.size -= 1

    def _next(self, text: bytes, begin: int, base: int) -> int | None:
        """Where the next part begins; None, or no further on, where more text is needed."""
        if self.in_rows:
            return self._rows(text, begin)
        if self._open:
            return self._quoted(text, begin)
        if self._within:
            return self._unquoted(text, begin, text.find(b"\n", begin))
        if self.skips_inserts and (insert := INSERT.match(text, begin)):
            return insert.end()
        return self._line(text, begin, base)

    def _line(self, text: bytes, begin: int, base: int) -> int | None:
        """Past the line that begins here, or the first quote in it; None as long as more of it may
        come."""
        end = text.find(b"\n", begin)
        if end < 0 and len(text) - begin < 2 * LONGEST_LINE:
            return None
        last = min(end if end >= 0 else len(text), begin + LONGEST_LINE)
        shown = text[begin:last].rstrip(b"\r")
        self.in_rows = self.see(Line(shown, base + begin, base + max(end, last) + 1))
        if self.in_rows:
            return end  # the newline: an end of rows that follows at once begins with it
        self._within = True
        return self._unquoted(text, begin, end)

    def _rows(self, text: bytes, begin: int) -> int:
        """Past the rows that are copied, or to where their end may begin."""
        if end := ROWS_END.search(text, begin):
            self.in_rows = False
            return end.end()
        return max(begin, len(text) - 4)

    def _quoted(self, text: bytes, begin: int) -> int:
        """Past what is in quotes, or to where its end may begin."""
        if self._open == ESCAPES:
            return self._escaped(text, begin)
        end = text.find(self._open, begin)
        if end < 0:
            return max(begin, len(text) - len(self._open) + 1)
        end += len(self._open)
        self._within = self._open != b"\n"
        self._open = b""
        return end

    def _escaped(self, text: bytes, begin: int) -> int:
        """Past what is in quotes after E, or to where its end may begin."""
        inside = ESCAPED.match(text, begin)
        assert inside
        end = inside.end()
        if text[end : end + 1] != b"'":
            return end
        self._open = b""
        return end + 1

    def _unquoted(self, text: bytes, begin: int, end: int) -> int:
        """Past the line, or past the first quote in it, or as far as no quote can have begun."""
        opening = _opening(text, begin, end if end >= 0 else len(text))
        if opening and (end >= 0 or len(text) - opening.start() >= LONGEST_TOKEN):
            word = opening[0].upper() if opening[0] == b"e'" else opening[0]
            self._open = CLOSING.get(word, word)
            return opening.end()
        if end < 0:
            return max(begin, (opening.start() if opening else len(text)) - LONGEST_TOKEN)
        self._within = False
        return end + 1


def _opening(text: bytes, begin: int, end: int) -> re.Match[bytes] | None:
    """The first that opens a quoted text or a comment."""
    opening = OPENING.search(text, begin, end)
    while opening and _is_of_a_name(text, opening):
        opening = OPENING.search(text, opening.start() + 1, end)
    return opening


def _is_of_a_name(text: bytes, opening: re.Match[bytes]) -> bool:
    """Whether a dollar sign, or the letter before a quote, is part of a name."""
    if opening[0][:1] not in b"$eE":
        return False
    before = text[opening.start() - 1 : opening.start()] if opening.start() else b" "
    return before.isalnum() or before in (b"_", b"$") or before >= b"\x80"
