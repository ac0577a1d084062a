"""Backups encrypted in the format of age, for one public key: who writes them cannot read them.

https://age-encryption.org/v1
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from djup.keeper.config import IDENTITY, Config
from djup.keeper.store import ENCRYPTED
from djup.problems import problem

if TYPE_CHECKING:
    from pyrage import x25519

PUBLIC = re.compile(r"age1[0-9a-z]{58}")
PRIVATE = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")
ALLOWED = "empty, a public key (age1...) or a private one (AGE-SECRET-KEY-1...)"


class Seal:
    """Encrypts and decrypts files by BACKUP_KEY, or leaves them as they are where that is empty.

    With a public key it can only encrypt; BACKUP_IDENTITY is the private one that belongs to it.
    """

    def __init__(self, config: Config) -> None:
        key, identity = config["BACKUP_KEY"], config[IDENTITY]
        self.encrypts = bool(key)
        self._key = key
        self._private = key if PRIVATE.fullmatch(key) else identity

    @property
    def suffix(self) -> str:
        """What the names of the files end with that it writes."""
        return ENCRYPTED if self.encrypts else ""

    @property
    def reads(self) -> bool:
        """Whether it can read what it has written."""
        return not self.encrypts or bool(self._private)

    def close(self, source: Path, target: Path) -> Path:
        """Write the encrypted copy of a file into `target`, a folder; gives it, or the file itself
        where nothing is encrypted."""
        if not self.encrypts:
            return source
        import pyrage

        sealed = target / f"{source.name}{ENCRYPTED}"
        with source.open("rb") as plain, sealed.open("wb") as file:
            pyrage.encrypt_io(plain, file, [self._recipient()])
        return sealed

    @contextmanager
    def opened(self, sealed: Path) -> Iterator[Path]:
        """The file that was encrypted, beside `sealed`, under its own name."""
        if sealed.suffix != ENCRYPTED:
            yield sealed
            return
        import pyrage

        plain = sealed.with_name(sealed.name.removesuffix(ENCRYPTED))
        if not PRIVATE.fullmatch(self._private):
            raise problem("BAK23", name=plain.name)
        try:
            with sealed.open("rb") as file, plain.open("wb") as out:
                pyrage.decrypt_io(file, out, [pyrage.x25519.Identity.from_str(self._private)])
        except pyrage.DecryptError:
            raise problem("BAK23.other", name=plain.name) from None
        yield plain

    def _recipient(self) -> "x25519.Recipient":
        from pyrage import x25519

        if self._key != self._private:
            return x25519.Recipient.from_str(self._key)
        return x25519.Identity.from_str(self._key).to_public()


def new_key() -> tuple[str, str]:
    """A new pair: the private key, and the public one."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())
