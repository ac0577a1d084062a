"""Projects that have the toolkit as wheels alone, in folders that know nothing of this tree."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import RUNTIMES, Checkout

from djup import ROOT

UV = ROOT / ".venv" / "bin" / "uv"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both packages, by their names."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([ROOT / "inv", "toolkit.build", "--folder", folder], check=True)
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="session")
def shop(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """What `uvx --from djup-….whl djup new shop` writes into an empty folder, not yet run."""
    folder = tmp_path_factory.mktemp("empty")
    argv = [UV, "tool", "run", "--from", wheels["djup"], "djup", "new", "shop"]
    environment = {**os.environ, "GIT_AUTHOR_NAME": "Ann", "GIT_COMMITTER_NAME": "Ann"}
    environment |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ann@example.org")
    subprocess.run(argv, cwd=folder, env=environment, check=True)
    stack = Checkout(folder / "shop", RUNTIMES["embedded"])
    yield stack
    for runtime in RUNTIMES.values():
        if (stack.root / ".env").is_file():
            runtime.remove(stack.root)
            assert runtime.leftovers(stack.root) == {}
