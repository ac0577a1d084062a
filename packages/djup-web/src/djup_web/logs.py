"""LOGGING: with DEBUG off each record is one line of JSON; in DEBUG Django's own stays."""

from typing import Any


def logging(debug: bool) -> dict[str, Any]:
    """The setting; Django's loggers keep their handlers, so errors are mailed to ADMINS as ever."""
    return {} if debug else JSON


JSON = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "djup_web.json_lines.JsonLines"}},
    "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["json"]},
    # The development server's line of each request: service.requests writes one under any server.
    "loggers": {"django.server": {"level": "CRITICAL"}},
}
