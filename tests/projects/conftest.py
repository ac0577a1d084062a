"""Projects that have the toolkit as wheels alone, in folders that know nothing of this tree."""

from collections.abc import Iterator
from pathlib import Path

import from_wheels
import pytest
import versions
from from_wheels import Adopt
from stacks import RUNTIMES, Checkout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both packages, by their names."""
    return from_wheels.build(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session", autouse=True)
def committer() -> Iterator[None]:
    """Somebody whose commits these are."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in from_wheels.COMMITTER.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="session")
def made(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A new project that nothing starts a stack of; its .venv is there, so copies have one."""
    project = new(wheels, tmp_path_factory.mktemp("made"))
    project.inv("--version")
    return project


def new(wheels: dict[str, Path], folder: Path) -> Checkout:
    """A new project in an empty folder."""
    return Checkout(from_wheels.new(wheels["djup"], folder / "shop"), RUNTIMES["embedded"])


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
    return versions.newer(tmp_path_factory.mktemp("newer") / "djup")


@pytest.fixture(scope="session")
def adopt(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Adopt:
    return from_wheels.runner(wheels["djup"], tmp_path_factory.mktemp("bin"))
