"""Requirements that cannot be locked, by the real uv: no lock changes, and doctor knows."""

import shutil
from pathlib import Path

import pytest
from machine import git
from stacks import Checkout, Embedded, Make
from wheels import wheel

from djup import ROOT
from djup.host import packages

NO_INDEX = "http://127.0.0.1:9/simple"
PROJECT = '[project]\nname = "{name}"\nversion = "1"\n'


@pytest.fixture
def stack(make: Make, embedded_runtime: Embedded, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout that was never up, and asks for nothing yet."""
    packages.ensure("build")
    stack = make(embedded_runtime, name="locks")
    shutil.copy(ROOT / ".venv/bin/uv", stack.root / ".venv/bin/uv")
    for file in (stack.root / "requirements").glob("*.in"):
        file.unlink()
    for key in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(key, NO_INDEX)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    return stack


def repository(folder: Path, name: str) -> str:
    """A package in a git repository, as a requirement; nobody has a hash of it."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name))
    for words in (["init", "--quiet"], ["add", "."], ["commit", "-qm", "1"], ["tag", "v1"]):
        git(folder, *words)
    return f"{name} @ git+{folder.as_uri()}@v1"


def locks(stack: Checkout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stack.root.glob("requirements/*.txt")}


@pytest.mark.fault("PKG03", "embedded")
def test_what_has_no_hash(stack: Checkout, tmp_path: Path) -> None:
    before, unhashed = locks(stack), repository(tmp_path / "lib", "lib")
    stack.write("requirements/base.in", f"{unhashed}\n")
    assert "write the URL of the archive of a tag" in stack.refused("PKG03", "lock")
    assert stack.found_by_doctor() == {"PKG03"}
    # What nobody wrote here, but a package asks for.
    asks = wheel(tmp_path, f"Requires-Dist: {unhashed}")
    stack.write("requirements/base.in", f"shop-api @ {asks}\n")
    assert "git+file" in stack.refused("PKG03", "lock")
    assert locks(stack) == before
    words = ("archive", "--format=tar.gz", "--prefix=lib-1/", "--output=../lib-1.tar.gz", "v1")
    git(tmp_path / "lib", *words)
    stack.write("requirements/base.in", f"lib @ {(tmp_path / 'lib-1.tar.gz').as_uri()}\n")
    assert_locked(stack, "lib")


@pytest.mark.fault("PKG04", "embedded")
def test_versions_that_do_not_fit_together(stack: Checkout, tmp_path: Path) -> None:
    asks = wheel(tmp_path, "Requires-Dist: lib; extra == 'x'")
    before, found = locks(stack), f"shop-api @ {asks}"
    stack.write("requirements/base.in", f"{found}\nshop-api==2\n")
    said = stack.refused("PKG04", "lock")
    assert "  | " in said and "shop-api==2" in said and "correct the name or the version" in said
    assert locks(stack) == before
    assert stack.found_by_doctor() == {"PKG02"}  # as what is asked for is not locked
    stack.write("requirements/base.in", f"{found}\n")
    assert_locked(stack, "shop-api")


def assert_locked(stack: Checkout, name: str) -> None:
    stack.inv("lock")
    text = locks(stack)["base.txt"].decode()
    assert text.count("--hash=sha256:") == 1 and f"\n{name} @ file:" in text
    assert stack.found_by_doctor() == set()
