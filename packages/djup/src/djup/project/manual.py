"""The pages of the manual that a wheel has, without links to what only djup's repository has."""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from djup import ROOT
from djup.host import git

SHIPPED = ("docs", "README.md", "CHANGELOG.md")
OWN = "/test-djup.md"  # how to test djup: a project has none of its suites
PICTURE = re.compile(r"!\[[^\]]*\]\((?![a-z]+:)[^)]*\)\n*")
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)\s]*)?\)")


def pages() -> dict[str, str]:
    """The text of each page by its path: no picture and no program is among them."""
    listed = git.listed(*SHIPPED)
    paths = {path for path in listed if path.endswith(".md") and not path.endswith(OWN)}
    return {path: bundled((ROOT / path).read_text(), path, paths) for path in sorted(paths)}


def bundled(text: str, path: str, paths: Collection[str]) -> str:
    """A page without pictures, whose links to files that are not among `paths` are plain text; a
    row of a table with such a link is left out."""
    return "".join(_lines(PICTURE.sub("", text), path, paths))


def _lines(text: str, path: str, paths: Collection[str]) -> Iterator[str]:
    def kept(found: re.Match[str]) -> str:
        return found[0] if _target(path, found[2]) in paths else found[1]

    for line in text.splitlines(keepends=True):
        changed = LINK.sub(kept, line)
        if changed == line or not line.startswith("|"):
            yield changed


def _target(page: str, link: str) -> str:
    """Where a link of a page leads, from the root."""
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / link).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)
