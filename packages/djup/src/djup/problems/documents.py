"""Locate the toolkit's documents: in its own repository at the root, otherwise in its wheel."""

import re

from djup import FILES, IS_INSTALLED, ROOT

# As its own repository has them: a page in docs/ or a folder of it, or a section of its README.
NAMED = r"(?<![\w./-])(?:docs/(?:[\w-]+/)*[\w-]+\.md|README\.md(?=#))"


def located(text: str) -> str:
    """Return the text, with each document named by a path that exists here."""
    return re.sub(NAMED, lambda match: _path(match[0]), text) if IS_INSTALLED else text


def _path(name: str) -> str:
    path = FILES / name
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
