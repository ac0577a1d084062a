"""What the tasks are made of; each module is one subject."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the folder that holds tasks.py."""


def is_checkout(folder: Path) -> bool:
    """Whether a checkout of this toolkit is there, this one or another."""
    # Asked with access(2): for a folder that we may not enter that is a no, not an error.
    return all(os.access(folder / file, os.F_OK) for file in ("inv", "tasks.py"))
