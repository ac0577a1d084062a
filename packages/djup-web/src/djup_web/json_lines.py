"""A log record as one line of JSON.

Not python-json-logger: that writes every attribute of a record, and Django puts whole requests
there. Here a field is what is known to be plain, and nothing has to be kept out by its name.
"""

import json
import logging
from datetime import datetime, timezone

from . import request_id
from .masking import masked

FIELDS = ("time", "level", "logger", "message", "request_id", "traceback")
OWN = {*logging.makeLogRecord({}).__dict__, *FIELDS, "asctime", "taskName"}
PLAIN = (str, int, float)


class JsonLines(logging.Formatter):
    """time (ISO 8601, UTC), level, logger, message, request_id; those given to a log call as
    `extra`, where they are text or numbers; and `traceback`, one text."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc)
        fields = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.current(),
            **extra(record),
            "traceback": self.traceback(record),
        }
        # In ASCII: a path may hold half a character, which no stream takes.
        return json.dumps({name: value for name, value in fields.items() if value != ""})

    def traceback(self, record: logging.LogRecord) -> str:
        error = self.formatException(record.exc_info) if record.exc_info else ""
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        return masked("\n".join(filter(None, (error, stack))))


def extra(record: logging.LogRecord) -> dict[str, object]:
    """What the log call added to the record, as far as it is plain."""
    given = record.__dict__.items()
    return {name: value for name, value in given if name not in OWN and isinstance(value, PLAIN)}
