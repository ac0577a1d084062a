"""When a lock counts as installed. How it is installed is tried in tests/cli, with a fake uv."""

import sys
from pathlib import Path

import pytest

from ops import packages


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout with requirements/lint.txt and a .venv with an interpreter."""
    venv = tmp_path / ".venv"
    for folder in (tmp_path / "requirements", venv / "bin", venv / "locks"):
        folder.mkdir(parents=True)
    (tmp_path / "requirements" / "lint.txt").write_text("ruff==1\n")
    (venv / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(packages, "ROOT", tmp_path)
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
    ("lines", "reason"),
    [
        (["downloading", "ERROR: no such version", "hint: try"], "ERROR: no such version"),
        (["one", "two"], "two"),
        (["Command '...' ensurepip ... returned 1"], "sudo apt install python3-venv"),
    ],
)
def test_the_reason_of_a_failed_installation(lines: list[str], reason: str) -> None:
    assert reason in packages._reason(lines)
