"""What the keeper is told: by a secret, since addresses may have passwords in them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECRET = Path("/run/secrets/keeper")
VARIABLE = "KEEPER"  # has the same, in a container without the secret: one that lists or fetches
# In the log: who has asked for a backup looks for these there.
DONE, FAILED = "the round is done", "the round has failed"
IDENTITY = "BACKUP_IDENTITY"
KEYS = (
    *("BACKUP_AT", "BACKUP_KEEP", "BACKUP_VERIFY", "BACKUP_TO", "BACKUP_KEY"),
    *("BACKUP_ENDPOINT", "BACKUP_REGION", "BACKUP_ACCESS_KEY", "BACKUP_SECRET_KEY"),
    *("BACKUP_SSH_KEY", "BACKUP_HOST_KEY", "HEARTBEAT_URL", "NOTIFY_URL"),
)


@dataclass(frozen=True)
class Config:
    """Of which stack, and the values of KEYS as `.env` has them; BACKUP_SSH_KEY is the text of the
    file. BACKUP_IDENTITY is the private key, for who restores."""

    stack: str
    values: Mapping[str, str] = field(repr=False)

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "")

    def as_text(self) -> str:
        """For the secret."""
        return json.dumps({"STACK": self.stack, **self.values}, sort_keys=True)


def read() -> Config:
    """From the secret, or the environment."""
    text = SECRET.read_text() if SECRET.exists() else os.environ[VARIABLE]
    values: dict[str, str] = json.loads(text)
    return Config(values.pop("STACK"), values)
