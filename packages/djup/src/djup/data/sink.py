"""A file that is written bit by bit."""

import hashlib
from typing import IO


class Sink:
    """Writes a file, and knows its size and SHA-256 as it goes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size, self.sha256 = file, 0, hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """Write a piece."""
        self.file.write(piece)
        self.sha256.update(piece)
        self.size += len(piece)
