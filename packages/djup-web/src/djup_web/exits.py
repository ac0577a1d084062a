"""The statuses by which one failed start is told from another, as sysexits.h names them."""

import os
import sys
from typing import NoReturn

MIGRATIONS_CONFLICT = os.EX_USAGE  # 64
NOT_MIGRATED = os.EX_DATAERR  # 65
MIGRATION_MISSING = os.EX_NOINPUT  # 66
OLD_USERS = os.EX_NOUSER  # 67: the tables of Django's user model, the code with the project's
NO_DATABASE = os.EX_UNAVAILABLE  # 69
HISTORY = os.EX_SOFTWARE  # 70: a migration is applied before one that it depends on
COLLATION = os.EX_OSFILE  # 72: the server lacks a collation
INVALID_INDEX = os.EX_CANTCREAT  # 73
HALF_DONE = os.EX_IOERR  # 74: what a migration makes is there already
LOCKED = os.EX_TEMPFAIL  # 75
USER_MODEL = os.EX_PROTOCOL  # 76: another user model than the database was made with
SETTINGS = os.EX_CONFIG  # 78


def end(status: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(status)
