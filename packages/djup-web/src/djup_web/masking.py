"""Passwords within URLs, as DATABASE_URL has one, are masked wherever text is shown.

Django masks a value by the name of its key (SECRET_KEY, SQL_PASSWORD), not by what is in it. Only
the standard library: manage.py needs it before Django is there.
"""

import logging
import re
import sys
import threading
import traceback
from types import TracebackType

MASK = "********"
# After `scheme://user:`; what is no port may hold what a URL would have to spell as %XX.
PASSWORD = re.compile(
    r"(?P<before>[a-zA-Z][\w+.-]*://[^\s/:@'\"<>]*:)"
    r"(?:[^\s/?#'\"<>]+|(?!\d+(?:[/?#,]|$))[^\s'\"<>]+)(?=@)"
)
IN_QUERY = re.compile(
    r"(?P<before>[?&;](?:ssl)?(?:password|passwd|pwd|secret|token)=)[^&;\s#'\"<>]+", re.IGNORECASE
)


def masked(text: str) -> str:
    """The text, with no password in its URLs; all else in it stays."""
    if "://" not in text:
        return text
    return IN_QUERY.sub(rf"\g<before>{MASK}", PASSWORD.sub(rf"\g<before>{MASK}", text))


class Record(logging.LogRecord):
    """A log record whose message and traceback are masked, whatever handler writes it."""

    def getMessage(self) -> str:
        return masked(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """What a formatter keeps here for the next one."""
        found: str | None = self.__dict__["exc_text"]
        return found

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self.__dict__["exc_text"] = text and masked(text)


def show(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Print an exception that nobody took, as Python does."""
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))


def show_of_thread(args: threading.ExceptHookArgs) -> None:
    """Print one that has ended a thread."""
    if args.exc_type is not SystemExit:
        show(args.exc_type, args.exc_value, args.exc_traceback)


def install() -> None:
    """Mask whatever this process logs, or ends with."""
    logging.setLogRecordFactory(Record)
    sys.excepthook = show
    threading.excepthook = show_of_thread
