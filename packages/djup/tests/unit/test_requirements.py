"""What an .in file asks for and its lock lacks: named, and nothing that the lock has."""

from pathlib import Path

import pytest

from djup.code import requirements
from djup.code.requirements import unlocked

LOCK = """\
asgiref==3.8.1 \\
    --hash=sha256:0123
django==5.2.19 \\
    --hash=sha256:4567
psycopg2-binary==2.9.10
pre-release==2.0rc1
"""


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("Django>=5.2,<6\npsycopg2_binary\n", []),
        ("# pillow\n-r other.in\n\nasgiref[tests] ~= 3.8\n", []),
        ("pre.release>=2.0\n", []),  # no number: nobody can tell
        ("tzdata; sys_platform == 'win32'\n", []),  # rightly in no lock of another system
        ("pillow\n", ["pillow"]),
        ("Pillow>=11  # pictures\nredis[hiredis]\n", ["pillow", "redis"]),
        ("django>=6\n", ["django>=6 (5.2.19 is locked)"]),
        ("asgiref!=3.8.1\n", ["asgiref!=3.8.1 (3.8.1 is locked)"]),
        ("asgiref~=3.7.0\n", ["asgiref~=3.7.0 (3.8.1 is locked)"]),
        ("asgiref==3.8\n", ["asgiref==3.8 (3.8.1 is locked)"]),
    ],
)
def test_unlocked(tmp_path: Path, asked: str, named: list[str]) -> None:
    (tmp_path / "base.in").write_text(asked)
    (tmp_path / "base.txt").write_text(LOCK)
    assert unlocked(tmp_path / "base.in") == named


def test_a_lock_that_is_not_there_lacks_all(tmp_path: Path) -> None:
    (tmp_path / "base.in").write_text("django\n")
    assert unlocked(tmp_path / "base.in") == ["django"]


def test_a_receiver_of_errors_needs_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "REQUIREMENTS", tmp_path)
    (tmp_path / "base.txt").write_text(LOCK)
    dsn = "https://0123@errors.example.org/1"
    assert requirements.unreported("", "base") is None
    cause = requirements.unreported(dsn, "base", "prod")
    assert cause and cause.code == "PKG07" and "sentry-sdk" in cause.what
    (tmp_path / "prod.txt").write_text("sentry-sdk==2.75.0\n")
    assert requirements.unreported(dsn, "base", "prod") is None
