"""`./inv` itself, and the `inv` of an activated environment."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import checkout
import pytest
from toolkit import SYSTEM_PATH, Done, Toolkit

from djup import ROOT, __version__

UV = '#!/bin/sh\necho "$@" >>"$FAKE_HOME/uv"\n'


def uv_calls(toolkit: Toolkit) -> list[str]:
    log = toolkit.home / "uv"
    return log.read_text().splitlines() if log.exists() else []


def shim(toolkit: Toolkit, *arguments: str, cwd: Path) -> Done:
    """`inv` as an activated environment has it."""
    argv = [toolkit.root / ".venv" / "bin" / "inv", *arguments]
    done = subprocess.run(argv, cwd=cwd, env=toolkit.env, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def changed(toolkit: Toolkit) -> Toolkit:
    """A checkout whose requirements have changed since, with a fake uv."""
    toolkit.program("uv", UV)
    with (toolkit.root / "requirements" / "tasks.txt").open("a") as file:
        file.write("# changed\n")
    return toolkit


@pytest.mark.parametrize(
    ("python3", "found"),
    [
        (None, "none here"),
        ('[ "$1" = --version ] && echo Python 3.9.1 && exit; exit 1', "Python 3.9.1"),
    ],
)
def test_no_python_that_is_new_enough(toolkit: Toolkit, python3: str | None, found: str) -> None:
    shutil.rmtree(toolkit.root / ".venv")
    toolkit.path = "/nowhere"
    if python3:
        toolkit.program("python3", f"#!/bin/sh\n{python3}\n")
    done = toolkit.inv("up")
    assert (done.code, done.out) == (1, "")
    [sentence] = done.err.splitlines()
    assert "Python 3.11 or newer" in sentence and found in sentence
    assert not (toolkit.root / ".venv").exists()


@pytest.mark.parametrize(
    ("wanted", "taken"), [("3.14", "python3.14"), ("3.99", "python3"), ("3.10", "python3")]
)
def test_the_python_of_the_project_is_preferred(changed: Toolkit, wanted: str, taken: str) -> None:
    """One that fits the locks; without it the tasks run on any that is new enough for them."""
    text = f'[tool.ruff]\npython = "3.98"\n\n[tool.djup]\nsettings = "x"\npython = "{wanted}"\n'
    (changed.root / "pyproject.toml").write_text(text)
    for name, version in (("python3", "(3, 11)"), ("python3.14", "(3, 14)")):
        test = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
        changed.program(
            name,
            f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "{test}" "$2"\n'
            f"echo {name} was taken\n",
        )
    assert f"{taken} was taken" in changed.inv("--version").out


def test_the_first_python_that_is_new_enough_is_taken(changed: Toolkit) -> None:
    changed.program("python3", "#!/bin/sh\nexit 1\n")
    changed.program("python3.14", "#!/bin/sh\nexit 1\n")
    changed.program(
        "python3.13",
        f'#!/bin/sh\n: >"$FAKE_HOME/took"\nexec {changed.root}/.venv/bin/python "$@"\n',
    )
    assert changed.inv("--version").code == 0
    assert (changed.home / "took").exists()


def test_nothing_is_installed_where_nothing_changed(toolkit: Toolkit) -> None:
    toolkit.program("uv", UV)
    toolkit.inv("--version")
    assert uv_calls(toolkit) == []


def test_changed_requirements_are_installed_once(changed: Toolkit) -> None:
    for _ in range(2):
        assert changed.inv("--version").code == 0
    lock = changed.root / "requirements" / "tasks.txt"
    python = changed.root / ".venv" / "bin" / "python"
    install = f"pip install --compile-bytecode --python {python} --quiet --require-hashes -r {lock}"
    assert uv_calls(changed) == [install]


def test_a_newer_file_with_the_same_text_installs_nothing(toolkit: Toolkit) -> None:
    toolkit.program("uv", UV)
    later = time.time() - 3600
    os.utime(toolkit.root / ".venv" / "locks" / "ready", (later - 3600, later - 3600))
    os.utime(toolkit.root / "requirements" / "tasks.txt", (later, later))
    assert toolkit.inv("--version").code == 0
    assert uv_calls(toolkit) == []
    # And the stamp is the newer one again: a python3 that fails is not even asked.
    toolkit.program("python3", '#!/bin/sh\n: >"$FAKE_HOME/asked"\nexit 1\n')
    assert toolkit.inv("--version").code == 0
    assert not (toolkit.home / "asked").exists()


def test_a_failed_installation_is_told_and_tried_again(changed: Toolkit) -> None:
    changed.program("uv", '#!/bin/sh\necho "error: no such wheel" >&2\nexit 2\n')
    for _ in range(2):
        done = changed.inv("up")
        assert (done.code, done.out, changed.log) == (1, "", [])
        assert "error PKG01" in done.err and "no such wheel" in done.err
    changed.program("uv", UV)
    assert changed.inv("--version").code == 0
    assert len(uv_calls(changed)) == 1


def test_a_lock_that_a_task_needs_is_installed_by_it(toolkit: Toolkit) -> None:
    toolkit.program("uv", UV)
    compiler = toolkit.root / ".venv" / "bin" / "uv"
    compiler.write_text(UV)
    compiler.chmod(0o755)
    (toolkit.root / ".venv" / "locks" / "build.txt").unlink(missing_ok=True)
    done = toolkit.inv("lock")
    assert done.code == 0 and "installing requirements/build.txt" in done.err
    install, *compiles = uv_calls(toolkit)
    assert install.startswith("pip install") and install.endswith("requirements/build.txt")
    compiled = [call.split()[-1] for call in compiles]
    sources = sorted((toolkit.root / "requirements").glob("*.in"))
    # base first: the other locks are held to it.
    assert compiled[0] == "requirements/base.in"
    assert sorted(compiled) == [f"requirements/{source.name}" for source in sources]


def test_without_uv_pip_installs(changed: Toolkit) -> None:
    (changed.bin / "uv").unlink()
    changed.path = SYSTEM_PATH
    if shutil.which("uv", path=SYSTEM_PATH):
        pytest.skip("this machine has a uv of its own on the system's PATH")
    lock = changed.root / "requirements" / "tasks.txt"
    lock.write_text("no-such-package-of-ours @ file:///nowhere\n")
    done = changed.inv("up")
    # pip, not uv, says why: nothing is fetched, since the lock has no hashes.
    assert done.code == 1 and "error PKG01" in done.err and "ERROR:" in done.err


# The inv of an activated environment


def test_inside(changed: Toolkit) -> None:
    changed.inv("--version")  # installs, and so writes .venv/bin/inv
    for folder in (changed.root, changed.root / "project" / "notes"):
        assert shim(changed, "compose", "--", "a b", "", cwd=folder).code == 0
    assert changed.acts == [["compose", "a b", ""]] * 2


def test_outside(changed: Toolkit, tmp_path: Path) -> None:
    changed.inv("--version")
    for folder in (tmp_path, Path("/")):
        done = shim(changed, "up", cwd=folder)
        assert (done.code, done.out, changed.log) == (1, "", [])
        [sentence] = done.err.splitlines()
        assert str(changed.root) in sentence


def test_in_another_checkout_it_is_the_other_ones(changed: Toolkit, tmp_path: Path) -> None:
    changed.inv("--version")
    other = tmp_path / "other"
    other.mkdir()
    (other / "tasks.py").touch()
    (other / "inv").write_text('#!/bin/sh\necho "the other: $*"\n')
    (other / "inv").chmod(0o755)
    assert shim(changed, "up", cwd=other).out == "the other: up\n"


def test_called_by_a_relative_path(toolkit: Toolkit) -> None:
    argv = ["../../inv", "compose", "--", "x"]
    subprocess.run(argv, cwd=toolkit.root / "project" / "notes", env=toolkit.env, check=True)
    assert toolkit.acts == [["compose", "x"]]


def test_a_module_in_the_folder_shadows_nothing(toolkit: Toolkit) -> None:
    """Run from project/, where a file of the user's may be named like a library."""
    for name in ("invoke", "dotenv", "json", "djup"):
        (toolkit.root / "project" / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    assert toolkit.inv("compose", cwd=toolkit.root / "project").code == 0


def test_a_real_uv_makes_the_environment(tmp_path: Path) -> None:
    """uv has a lock of its own in .venv: with ours in its place it waits for five minutes."""
    root = checkout.make(tmp_path / "shop")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
    env = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        [root / "inv", "--version"], env=env, capture_output=True, text=True, timeout=60
    )
    version = f"djup {__version__}, Invoke 3.0.3\n"
    assert (done.returncode, done.stdout) == (0, version), done.stderr


LOADED = ("entry", "docker_stack")  # at the start, and by the task


def test_bytecode_is_kept(toolkit: Toolkit) -> None:
    """Also of what a task loads: Invoke would have nothing written from its own start on."""
    toolkit.environment["PYTHONDONTWRITEBYTECODE"] = ""
    remove_bytecode(toolkit)
    toolkit.inv("compose", "--", "ps")
    for name in LOADED:
        assert list(toolkit.root.rglob(f"packages/**/__pycache__/{name}.*.pyc")), name
    assert not (toolkit.root / ".venv" / "bytecode").exists()


def test_bytecode_is_kept_where_python_is_told_to_keep_none(toolkit: Toolkit) -> None:
    """In .venv, where it is in nobody's way; what a task starts is told the same as we are."""
    toolkit.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    remove_bytecode(toolkit)
    toolkit.inv("compose", "--", "ps")
    for name in LOADED:
        assert list((toolkit.root / ".venv" / "bytecode").rglob(f"{name}.*.pyc")), name
    assert not list(toolkit.root.rglob("packages/**/__pycache__"))
    assert toolkit.log[-1]["env"]["PYTHONDONTWRITEBYTECODE"] == "1"


def remove_bytecode(toolkit: Toolkit) -> None:
    for kept in list(toolkit.root.rglob("packages/**/__pycache__")):
        shutil.rmtree(kept)
