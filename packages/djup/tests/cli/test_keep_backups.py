"""What `inv db.backups --keep` removes, and what it says about the rest."""

import hashlib
import json
from pathlib import Path

import pytest
from toolkit import Toolkit

NO_CONTENTS = {"tables": {}, "sequences": {}, "migrations": [], "extensions": []}

pytestmark = pytest.mark.forked


@pytest.fixture
def folder(toolkit: Toolkit) -> Path:
    path = toolkit.root / "backups"
    path.mkdir()
    return path


def make(folder: Path, number: int, project: str, database: str, verified: bool = False) -> str:
    """A backup with its manifest; its name."""
    name = f"{project}-{database}-{number}"
    (folder / f"{name}.dump").write_bytes(b"")
    manifest = {
        "dump": f"{name}.dump",
        "number": number,
        "created": "2026-01-02T10:15:00+00:00",
        "project": project,
        "database": database,
        "note": {},
        "reason": "asked for",
        "contents": {**NO_CONTENTS, "version": "180000", "bytes": 1},
        "size": 0,
        "sha256": hashlib.sha256().hexdigest(),
        "verified": verified,
    }
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    return name


def left(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


def test_each_database_is_counted_by_itself(toolkit: Toolkit, folder: Path) -> None:
    ours = [make(folder, n, "shop", "app") for n in (1, 2, 3)]
    other = make(folder, 4, "shop", "app@old")
    theirs = [make(folder, n, "shop-prod", "app") for n in (5, 6, 7)]
    done = toolkit.inv("db.backups", "--keep", "2")
    assert left(folder) == {*ours[1:], other, *theirs[1:]}
    assert [f"removed {name}" for name in (theirs[0], ours[0])] == done.err.splitlines()[:-1]
    assert done.err.splitlines()[-1] == (
        "kept 5: 2 newest of app in shop-prod, 1 newest of app@old in shop, 2 newest of app in shop"
    )


def test_what_stays_for_another_reason_is_named(toolkit: Toolkit, folder: Path) -> None:
    first, verified, needed, last = (
        make(folder, n, "shop", "app", verified=n in (1, 2)) for n in (1, 2, 3, 4)
    )
    production = make(folder, 5, "shop-prod", "app", verified=True)
    (toolkit.root / ".state").mkdir()
    act = {"task": "nuke", "at": "2026-01-02T10:15:00+00:00", "backups": [needed]}
    (toolkit.root / ".state" / "undo.json").write_text(json.dumps([act]))
    done = toolkit.inv("db.backups", "--keep", "0")
    assert left(folder) == {production, needed, verified}
    assert {f"removed {name}" for name in (last, first)} == set(done.err.splitlines()[:-1])
    assert done.err.endswith("kept 3: 2 newest verified, 1 needed by ./inv undo\n")


def test_what_was_done_in_another_project_is_not_undone(toolkit: Toolkit, folder: Path) -> None:
    (toolkit.root / ".state").mkdir()
    name = make(folder, 1, "shop", "app")
    act = {"task": "nuke", "at": "2026-01-02T10:15:00+00:00", "backups": [name]}
    notes = toolkit.root / ".state" / "undo.json"
    notes.write_text(json.dumps([{**act, "project": "original"}]))
    assert "error BAK12: " in toolkit.inv("undo").err and toolkit.log == []
    assert notes.exists()
    notes.write_text(json.dumps([{**act, "project": "shop"}]))
    assert "would undo: nuke of " in toolkit.inv("--dry", "undo").err
