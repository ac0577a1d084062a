"""The statuses by which one failed start is told from another, as sysexits.h names them."""

import os
import sys
from typing import NoReturn

MIGRATIONS_CONFLICT = os.EX_USAGE  # 64
NOT_MIGRATED = os.EX_DATAERR  # 65
NO_DATABASE = os.EX_UNAVAILABLE  # 69
SETTINGS = os.EX_CONFIG  # 78


def end(status: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(status)
