"""Projects that have the toolkit as wheels alone, in folders that know nothing of this tree."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import versions
from stacks import RUNTIMES, Checkout

from djup import ROOT

Adopt = Callable[..., subprocess.CompletedProcess[str]]
UV = ROOT / ".venv" / "bin" / "uv"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both packages, by their names."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([ROOT / "inv", "toolkit.build", "--folder", folder], check=True)
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="session", autouse=True)
def committer() -> Iterator[None]:
    """Somebody whose commits these are."""
    names = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ann")
    mails = dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ann@example.org")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in (names | mails).items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="session")
def made(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A new project that nothing starts a stack of; its .venv is there, so copies have one."""
    project = new(wheels, tmp_path_factory.mktemp("made"))
    project.inv("--version")
    return project


def new(wheels: dict[str, Path], folder: Path) -> Checkout:
    """What `uvx --from djup-….whl djup new shop` writes into an empty folder."""
    argv = [UV, "tool", "run", "--from", wheels["djup"], "djup", "new", "shop"]
    subprocess.run(argv, cwd=folder, check=True)
    return Checkout(folder / "shop", RUNTIMES["embedded"])


@pytest.fixture(scope="session")
def shop(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A new project whose stacks are removed at the end."""
    stack = new(wheels, tmp_path_factory.mktemp("empty"))
    yield stack
    for runtime in RUNTIMES.values():
        if (stack.root / ".env").is_file():
            runtime.remove(stack.root)
            assert runtime.leftovers(stack.root) == {}


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a later version, whose managed files are partly others."""
    return versions.build(tmp_path_factory.mktemp("newer") / "djup")


@pytest.fixture(scope="session")
def adopt(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Adopt:
    """`uvx --from djup-….whl djup`, run in a folder, with uv on PATH as whoever has uvx."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "uv").symlink_to(UV)

    def run(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [UV, "tool", "run", "--from", wheels["djup"], "djup", *arguments]
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
