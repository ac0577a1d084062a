"""What an upgrade does to each managed file; all is decided before any is written."""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from djup.checkout import blocks, manifest
from djup.host import git

CONFLICT = "<<<<<<< yours"


class Act(StrEnum):
    """What becomes of a file; the words are those of the summary."""

    ADDED = "added"
    REPLACED = "replaced"
    MERGED = "merged with your edit"
    CONFLICT = "CONFLICT: resolve the marked lines"
    REMOVED = "removed: no longer part of the toolkit"
    KEPT = "kept: no longer part of the toolkit, but you edited it"
    DELETED = "not written: you deleted it"
    YOURS = "NOT WRITTEN: you have a file of this name"


@dataclass(frozen=True)
class Step:
    """A file, what becomes of it, and its text after that (None: it is not there, or stays)."""

    path: str
    act: Act
    text: str | None = None


def steps(
    root: Path,
    before: Mapping[str, str],
    after: Mapping[str, str],
    in_blocks: Collection[str] = (),
) -> Iterator[Step]:
    """What leads a project's files from those of one version to those of another.

    `before` and `after` are the texts of the managed files, by their paths. Files that need nothing
    are left out. Of those `in_blocks` the texts are those of the toolkit's block in them.
    """
    for path in sorted({*before, *after}):
        file = root / path
        ours = file.read_text(encoding="utf-8") if file.is_file() else None
        # What is around a block keeps its line ends.
        whole = file.read_bytes().decode() if ours and path in in_blocks else ""
        step = _step(path, blocks.find(whole) if whole else ours, before.get(path), after.get(path))
        if step and step.text is not None and whole:
            step = replace(step, text=blocks.replaced(whole, step.text))
        if step:
            yield step


def _step(path: str, ours: str | None, before: str | None, after: str | None) -> Step | None:
    if ours == after or before == after:
        return None
    if manifest.is_lock(path) and ours not in (before, None):
        return None  # compiled here; the pins of the toolkit are replaced in it all the same
    if after is None:
        return Step(path, Act.REMOVED if ours == before else Act.KEPT)
    if before is None:
        return Step(path, Act.ADDED, after) if ours is None else Step(path, Act.YOURS)
    if ours is None:
        return Step(path, Act.DELETED)
    if ours == before:
        return Step(path, Act.REPLACED, after)
    merged, has_conflict = _merged(ours, before, after)
    return Step(path, Act.CONFLICT if has_conflict else Act.MERGED, merged)


def _merged(ours: str, before: str, after: str) -> tuple[str, bool]:
    """Three texts merged by git, and whether a place was left with markers."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("yours", "before", "after")]
        for file, text in zip(files, (ours, before, after), strict=True):
            file.write_text(text, encoding="utf-8")
        labels = ("-L", "yours", "-L", "before", "-L", "the toolkit's")
        done = git.ask("merge-file", "-p", *labels, *map(str, files))
    return done.out, done.code != 0
