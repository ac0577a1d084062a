"""Why packages cannot be installed or locked: by the real pip and uv, on files made here."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from machine import needs_root
from toolkit import SYSTEM_PATH, Toolkit
from wheels import wheel

from djup import ROOT
from djup.code import locks
from djup.host import packages

WRONG = "sha256:" + "0" * 64
NO_INDEX = "http://127.0.0.1:9/simple"
LOCKS = {path.name: path.read_bytes() for path in (ROOT / "requirements").glob("*.txt")}
GIT = "shop-api @ git+https://ann:t0ken@github.com/example/shop-api.git@v1"
ARCHIVE = "shop-api @ https://github.com/example/shop-api/archive/v1.tar.gz"


@pytest.fixture(params=["pip", "uv"])
def installs(request: pytest.FixtureRequest, fresh: Toolkit) -> Toolkit:
    """A checkout whose packages are installed by this one."""
    assert not shutil.which("uv", path=SYSTEM_PATH)
    if request.param == "uv":
        lend_uv(fresh.bin)
    fresh.environment |= {"PIP_INDEX_URL": NO_INDEX, "UV_DEFAULT_INDEX": NO_INDEX}
    fresh.environment |= {"PIP_RETRIES": "1", "UV_HTTP_RETRIES": "0"}
    return fresh


def lend_uv(folder: Path) -> None:
    packages.ensure("build")
    (folder / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")


@pytest.mark.parametrize(
    ("locked", "said", "fix"),
    [
        ("shop-api @ git+https://127.0.0.1:9/x.git", "shop-api", "the URL of an archive"),
        ("-e ./lib", "lib", "the URL of an archive"),
        ("shop-api @ {wheel}", "hash", "the URL of an archive"),
        (f"shop-api==1 --hash={WRONG}", "shop-api", "check the network"),
        (f"shop-api @ {{wheel}} --hash={WRONG}", "0000", "git checkout requirements/"),
        ("shop-api @ {newer} --hash={hash}", "99", "newer Python"),
    ],
    ids=["git", "editable", "no hash", "no network", "wrong hash", "python"],
)
def test_the_cause_of_a_failed_installation(
    installs: Toolkit, locked: str, said: str, fix: str
) -> None:
    (installs.root / "lib").mkdir()
    (installs.root / "lib" / "pyproject.toml").write_text("[project]\nname='lib'\nversion='1'\n")
    python = ">=99" if "newer" in locked else ">=3"
    address = wheel(installs.root / "lib", f"Requires-Python: {python}")
    digest = "sha256:" + packages_hash(installs.root / "lib" / "shop_api-1-py3-none-any.whl")
    text = locked.format(wheel=address, newer=address, hash=digest)
    (installs.root / "requirements" / "tasks.txt").write_text(f"{text}\n")
    done = installs.inv("--version")
    assert done.code == 1 and "error PKG01: requirements/tasks.txt could not" in done.err, done
    evidence = "".join(line for line in done.err.splitlines() if line.startswith("  | "))
    [shown] = [line for line in done.err.splitlines() if "fix: " in line]
    assert said in evidence and fix in shown, done.err


def packages_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@needs_root
@pytest.mark.parametrize(
    ("option", "code"), [("ro", "SYS07"), ("size=40k", "SYS02")], ids=["read-only", "full"]
)
def test_a_disk_that_cannot_be_written(fresh: Toolkit, option: str, code: str) -> None:
    venv = fresh.root / ".venv"
    shutil.rmtree(venv)
    venv.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", venv], check=True)
    try:
        done = fresh.inv("--version")
    finally:
        subprocess.run(["umount", venv], check=True)
    assert done.code == 1 and (f"error {code}" in done.err or "free space" in done.err), done
    assert "check the network" not in done.err


# inv lock


@pytest.fixture
def compiles(toolkit: Toolkit) -> Toolkit:
    """A checkout with the real compiler, and no index for what it has not seen."""
    lend_uv(toolkit.root / ".venv" / "bin")
    toolkit.environment |= {"UV_DEFAULT_INDEX": NO_INDEX, "UV_HTTP_RETRIES": "0"}
    return toolkit


def assert_no_lock_changed(toolkit: Toolkit) -> None:
    folder = toolkit.root / "requirements"
    assert {path.name: path.read_bytes() for path in folder.glob("*.txt")} == LOCKS


@pytest.mark.parametrize(
    ("line", "works"),
    [
        (GIT, ARCHIVE),
        ("-e ./lib", "into project/"),
        ("./lib", "into project/"),
        ("lib @ file:lib", "into project/"),
        (
            "hg+https://example.org/x#egg=x",
            "x @ https://HOST/PATH/x-COMMIT.tar.gz",
        ),
        (
            "git+ssh://git@gitlab.com/a/b.git@main#subdirectory=c",
            "b @ https://gitlab.com/a/b/-/archive/COMMIT/b-COMMIT.tar.gz#subdirectory=c",
        ),
    ],
)
def test_what_has_no_hash_is_refused(compiles: Toolkit, line: str, works: str) -> None:
    (compiles.root / "lib").mkdir()
    base = compiles.root / "requirements" / "base.in"
    with base.open("a") as file:
        file.write(f"{line}  # ours\n")
    number = len(base.read_text().splitlines())
    done = compiles.inv("lock")
    assert done.code == 1 and f"error PKG03: requirements/base.in line {number}: " in done.err
    assert works in done.err and "t0ken" not in done.err
    assert "PKG03" in compiles.inv("doctor").out
    assert_no_lock_changed(compiles)


def test_a_lock_that_fails_changes_none(compiles: Toolkit) -> None:
    with (compiles.root / "requirements" / "tasks.in").open("a") as file:
        file.write("no-such-package-of-ours\n")
    (compiles.root / "requirements" / "base.in").write_text("")  # compiled first, and another one
    for file in (compiles.root / "requirements").glob("*.in"):
        if file.stem != "tasks":
            file.write_text("")
    done = compiles.inv("lock")
    assert done.code == 1 and "error PKG04: requirements/tasks.in" in done.err, done
    assert "check the network" in done.err and "  | " in done.err
    assert_no_lock_changed(compiles)


def test_an_archive_is_locked_with_its_hash(compiles: Toolkit, tmp_path: Path) -> None:
    for path in (compiles.root / "requirements").glob("*.in"):
        path.write_text("")
    address = wheel(tmp_path, "Requires-Python: >=3")
    (compiles.root / "requirements" / "base.in").write_text(f"shop-api @ {address}\n")
    assert compiles.inv("lock").code == 0
    text = (compiles.root / "requirements" / "base.txt").read_text()
    assert "--hash=sha256:" in text and "# via -r requirements/base.in" in text
    left = [path.name for path in (compiles.root / ".state").iterdir()]
    assert left == ["lock"]


def test_a_lock_killed_midway_changes_none_or_all(compiles: Toolkit) -> None:
    compiler = compiles.root / ".venv" / "bin" / "uv"
    compiler.unlink()
    compiler.write_text(
        "#!/bin/sh\nfor file; do :; done\n"
        'case $file in */lint.in) kill -9 "$PPID" ;; esac\n'
        'name=${file##*/}; echo changed >".state/locks.part/${name%.in}.txt"\n'
    )
    compiler.chmod(0o755)
    assert compiles.inv("lock").code == -9
    assert_no_lock_changed(compiles)
    # Killed when all were compiled, and one was in place.
    part, done = (compiles.root / ".state" / it.name for it in (locks.PART, locks.DONE))
    part.rename(done)
    shutil.copy(done / "base.txt", compiles.root / "requirements")
    compiles.inv("--dry", "up")
    assert done.exists()
    compiles.inv("up", "--port", "no")
    assert not done.exists()
    changed = (compiles.root / "requirements" / "build.txt").read_text()
    assert changed == "changed\n"
