"""What can be undone: a note of each task that took something away.

The note is written before the task acts, and looks for what it needs when it is used: of a task
that was killed before it took anything away, nothing needs to be restored.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from djup import STATE

NOTES = STATE / "undo.json"


@dataclass(frozen=True)
class Act:
    """A task that took something away, when (ISO 8601), and where that is kept: as a database of
    the server, as backups, or as another cluster of the volume with the image that it needs; of
    which project, since a folder that was copied has the notes of the original."""

    task: str
    at: str
    database: str = ""
    backups: list[str] = field(default_factory=list)
    cluster: str = ""
    image: str = ""
    project: str = ""


def noted(project: str) -> list[Act]:
    """List what was noted of this project, the latest last."""
    return [act for act in _read() if act.project in ("", project)]


def needed(project: str) -> set[str]:
    """The backups that alone hold what an act took away."""
    return {name for act in noted(project) for name in act.backups}


def remember(project: str, task: str, **kept: object) -> None:
    """Note an act that is about to happen."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    act = Act(task, now, project=project, **kept)  # type: ignore[arg-type]
    _write([*_read(), act])


def forget(act: Act) -> None:
    """Drop the note of an act that was undone, or never came about."""
    _write([other for other in _read() if other != act])


def _read() -> list[Act]:
    try:
        return [Act(**record) for record in json.loads(NOTES.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _write(acts: list[Act]) -> None:
    part = NOTES.with_name(f"{NOTES.name}.part")
    part.write_text(json.dumps([asdict(act) for act in acts], indent=2) + "\n", encoding="utf-8")
    part.replace(NOTES)
