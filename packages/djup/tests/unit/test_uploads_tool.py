"""The program beside the uploads, run as it is in a container."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from djup.host import uploads_tool
from djup.host.uploads import CODE, RUN_CODE, TOOL

ODD = ("a b/ä.txt", "two\nlines", "-rf", "quote'\"s", "deep/" * 20 + "x" * 150)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ODD:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def run(home: Path, *words: str, stdin: bytes = b"", code: int = 0) -> tuple[bytes, str]:
    argv = [sys.executable, "-I", "-c", RUN_CODE, str(home), "", *words]
    env = {"PATH": "/usr/bin:/bin", CODE: TOOL.read_text()}
    done = subprocess.run(argv, input=stdin, capture_output=True, env=env)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr.decode()


def answer(home: Path, *words: str, stdin: bytes = b"") -> dict[str, Any]:
    return dict(json.loads(run(home, *words, stdin=stdin)[1].splitlines()[-1]))


def texts(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_what_was_packed_is_unpacked(home: Path) -> None:
    packed, said = run(home, "pack", "files")
    assert json.loads(said) == answer(home, "count", "files")
    program = "zstd" if packed.startswith(b"\x28\xb5\x2f\xfd") else "gzip"
    plain = subprocess.run([program, "-dc"], input=packed, capture_output=True).stdout
    assert answer(home, "unpack", "part", stdin=plain) == json.loads(said)
    assert texts(home / "part") == sorted(ODD)


def test_an_archive_that_is_cut_off_is_refused(home: Path) -> None:
    """In the midst of a file; between two of them tar says nothing, and their number tells."""
    (home / "files" / "large").write_bytes(bytes(100_000))
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(home / "files" / "large", "large")
        half = file.getvalue()[:50_000]
    assert run(home, "unpack", "part", stdin=half, code=1)[1].strip()


def test_what_is_deleted_while_it_is_held_is_packed_all_the_same(home: Path) -> None:
    run(home, "hold")
    (home / "files" / "-rf").unlink()
    (home / "files" / "later").write_text("later")
    assert answer(home, "pack-held")["count"] == len(ODD) + 1
    assert not (home / "part").exists() and len(texts(home / "files")) == len(ODD)


def test_a_swap_that_was_broken_off_is_finished(home: Path) -> None:
    (home / "part").mkdir()
    (home / "part" / "new").write_text("new")
    (home / "beside").mkdir()
    (home / "files").rename(home / "beside" / "token")  # where it was ended
    (home / "files").mkdir()
    (home / "files" / "late").write_text("late")  # an upload since
    for _ in range(2):
        assert answer(home, "swap", "part", "beside/token")["count"] == len(ODD)
    assert texts(home / "files") == ["late", "new"]
    assert texts(home / "beside" / "token") == sorted(ODD)


def test_missing_files_are_named(home: Path) -> None:
    names = ("two\nlines", "gone\nä", "-rf")
    lines = "".join(f"{name.encode().hex()}\n" for name in names).encode()
    told = answer(home, "missing", "files", stdin=lines)
    assert told == {"asked": 3, "missing": 1, "names": ["gone\nä"]}


def test_a_file_system_without_hard_links(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    uploads_tool.link(home / "files", home / "copy")
    assert texts(home / "copy") == sorted(ODD)
