"""When a lock counts as installed. How it is installed is tried in cli, with a fake uv."""

import sys
from pathlib import Path

import pytest

from djup.host import packages


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout with requirements/lint.txt and a .venv with an interpreter."""
    venv = tmp_path / ".venv"
    for folder in (tmp_path / "requirements", venv / "bin", venv / "locks"):
        folder.mkdir(parents=True)
    (tmp_path / "requirements" / "lint.txt").write_text("ruff==1\n")
    (venv / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    monkeypatch.setattr(packages, "REQUIREMENTS", tmp_path / "requirements")
    monkeypatch.setattr(packages, "VENV", venv)
    monkeypatch.setattr(packages, "LOCKS", venv / "locks")
    monkeypatch.setattr(packages, "PYTHON", venv / "bin" / "python")
    return venv


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that `ensure` asked to be installed."""
    names: list[str] = []
    monkeypatch.setattr(packages, "_install", names.append)
    return names


def test_a_lock_that_is_in_is_left_alone(venv: Path, installed: list[str]) -> None:
    (venv / "locks" / "lint.txt").write_text("ruff==1\n")
    packages.ensure("lint")
    assert installed == []


def test_a_lock_that_was_never_installed(venv: Path, installed: list[str]) -> None:
    packages.ensure("lint")
    assert installed == ["lint"]


def test_a_lock_that_has_changed_since(venv: Path, installed: list[str]) -> None:
    (venv / "locks" / "lint.txt").write_text("ruff==0\n")
    packages.ensure("lint")
    assert installed == ["lint"]


def test_an_interpreter_that_has_gone(venv: Path, installed: list[str]) -> None:
    (venv / "locks" / "lint.txt").write_text("ruff==1\n")
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/gone/python")
    packages.ensure("lint")
    assert installed == ["lint"]


@pytest.mark.parametrize(
    ("said", "reason", "fix"),
    [
        (
            "downloading\nERROR: no such thing\nhint: try",
            "ERROR: no such thing",
            "correct what the",
        ),
        ("ERROR: no hash of these:\n    lib @ git+x", "these: lib @ git+x", "correct what the"),
        ("one\ntwo", "two", "correct what the"),
        ("python3: No module named ensurepip", "ensurepip", "apt install python3-venv"),
        ("error: [Errno 28] No space left on device: 'x'", "No space", "free space"),
        ("error: failed to open file `x`: Permission denied (os error 13)", "x", "sudo chown"),
        ("Caused by: dns error: failed to lookup address", "dns error", "check the network"),
    ],
)
def test_the_reason_of_a_failed_installation(said: str, reason: str, fix: str) -> None:
    failed = packages.InstallFailed("requirements/x.txt", said)
    assert reason in str(failed) and fix in failed.fix and failed.evidence == said


def test_a_reason_holds_no_token() -> None:
    failed = packages.InstallFailed("x", "error: https://me:token@example.org/simple refused\n")
    assert "token" not in failed.evidence + str(failed) and "example.org" in failed.evidence
