"""Read SETTINGS_FILE into the environment before any settings module is.

The production image imports this at each start of Python (a .pth file of its site-packages).
So settings which read variables of their own find them, whatever has started the process. A file
that cannot be read is reported by the settings, which read it again.
"""

import json
import os
from contextlib import suppress


def read() -> None:
    """Set the variables that the file holds, and that are not set."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        with open(os.environ["SETTINGS_FILE"], encoding="utf-8") as file:  # noqa: PTH123
            found = json.load(file)
        for key, value in found.items():
            os.environ.setdefault(key, value)


if os.environ.get("SETTINGS_FILE"):
    read()
