"""`.djup.json`: which version of the toolkit wrote which files into a project, and their hashes.

A file whose hash is another one by now was touched: an upgrade merges it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from djup.checkout import blocks

NAME = ".djup.json"


@dataclass(frozen=True)
class Manifest:
    """The version, and by path the SHA-256 of each of its files as that version had it."""

    version: str
    files: Mapping[str, str]

    def touched(self, root: Path) -> list[str]:
        """Give the files that were edited since; one that was deleted is not among them."""
        paths = [path for path in self.files if (root / path).is_file() and not is_lock(path)]
        return [path for path in paths if digest(_ours(root / path)) != self.files[path]]

    def as_text(self) -> str:
        """Give it as it is written: one file a line, so that a merge reads well."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def of_texts(version: str, texts: Mapping[str, str]) -> Manifest:
    """The manifest of a version whose managed files have these texts."""
    return Manifest(version, {path: digest(text) for path, text in sorted(texts.items())})


def read(root: Path) -> Manifest | None:
    """The manifest of a project; None where there is none that can be read."""
    try:
        found = json.loads((root / NAME).read_text(encoding="utf-8"))
        return Manifest(str(found["version"]), dict(found["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_lock(path: str) -> bool:
    """Whether a file is a lock, which a program writes: nobody edits it."""
    return path.startswith("requirements/") and path.endswith(".txt")


def _ours(file: Path) -> str:
    """What of a file is the toolkit's: its block in it, or all of it."""
    return blocks.inside(file.read_text(encoding="utf-8"))


def digest(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
