"""Which cluster of a volume is in use; and that one in use is never removed."""

import fcntl
import subprocess
from pathlib import Path

import pytest

from djup.stack import volume_clusters

OLD, NEW = "17\t17\talpine\tpostgres:17\tapp\t10\tyes", "18\t18\talpine\tpostgres:18\tapp\t10\tyes"
HALF, COPY = NEW.replace("yes", "no"), OLD.replace("yes", "copy")


@pytest.mark.parametrize(
    ("active", "lines", "used"),
    [
        ("18", [OLD, NEW], "18"),
        ("17", [OLD, HALF], "17"),
        ("18", [COPY, NEW], "18"),
        ("17", [NEW], "18"),  # another image than the data's is about to be used
        ("", [OLD], "17"),
    ],
)
def test_the_one_in_use(active: str, lines: list[str], used: str) -> None:
    held = volume_clusters.told("\n".join([active, *lines]))
    assert held and held.active.name == used
    assert len(held.others) == len(lines) - 1


@pytest.mark.parametrize(("active", "lines"), [("", [OLD, NEW]), ("19", [OLD, NEW]), ("18", [])])
def test_none_of_several_is_guessed(active: str, lines: list[str]) -> None:
    assert volume_clusters.told("\n".join([active, *lines])) is None


def test_a_copy_is_told_from_a_database() -> None:
    held = volume_clusters.told("\n".join(["18", COPY, NEW]))
    assert held and held.others[0].is_copy and not held.active.is_copy


def test_one_that_a_server_uses_is_not_removed(tmp_path: Path) -> None:
    for name in ("17", "18"):
        (tmp_path / name / "main").mkdir(parents=True)
        (tmp_path / name / "lock").touch()
    with (tmp_path / "18/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv = ["sh", "-c", f"set -eu; {volume_clusters.REMOVE}", "sh", "17", "18"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "the cluster 18 is in use" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["18"]
    assert (tmp_path / "18/main").exists()
