"""docs/tutorial.md from its first command to its last, as a reader follows it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import checkout
import pytest
import tutorial
from nodes import ThisMachine
from shapes import git
from stacks import PATIENCE, Checkout, Runtime, eventually
from tutorial import Command, Edit

from djup import ROOT

NEEDS_ENGINE = "Deploy it on this machine"  # the section
ENGINES_OWN = re.compile(r"docker |SERVICE  |\w+ +Up ")  # and of no other runtime


class Reader:
    """Runs the page's commands in a shell, and saves its files, as it says."""

    def __init__(self, shop: Checkout) -> None:
        self.shop, self.folder, self.path = shop, ROOT, os.environ["PATH"]

    def follow(self, step: Command | Edit) -> None:
        if isinstance(step, Edit):
            step.apply(self.shop.root)
        elif step.line.startswith("cd "):
            self.folder = self.shop.root
            checkout.begin_at(self.folder, checkout.first_port())
            git(self.folder, "update-index", "--skip-worktree", ".env.example")
        elif step.line == ". .venv/bin/activate":
            self.path = f"{self.folder / '.venv' / 'bin'}:{self.path}"
        elif step.line.startswith("curl "):  # Django's server may be about to see the last edit
            eventually(lambda: not self._lacks(step), 20, step.line)
        else:
            assert self._lacks(step) == []

    def _lacks(self, step: Command) -> list[str]:
        """The lines that the page shows, and that the command has not printed."""
        line = self._here(step.line)
        env = {**os.environ, "PATH": self.path}
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240 * PATIENCE,
        )
        if step.line.startswith("curl "):
            return tutorial.missing(step.shown, done.stdout)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        if lines := tutorial.missing(self._expected(step), done.stdout):
            print(f"{line}\n{done.stdout}")
        return lines

    def _expected(self, step: Command) -> list[str]:
        """The shown lines, less those that only Docker's runtime prints."""
        on_docker = self.shop.runtime.name == "docker"
        return [line for line in step.shown if on_docker or not ENGINES_OWN.match(line)]

    def _here(self, line: str) -> str:
        """The command with the names that are the page's replaced by those of this run."""
        if line.startswith("./inv up") and self.shop.runtime.name == "embedded":
            line += " --runtime embedded"
        line = line.replace("../shop", str(self.shop.root))
        if not (self.shop.root / ".env").exists():
            return line
        line = line.replace("127.0.0.1:8000", f"127.0.0.1:{self.shop.values['WEB_PORT']}")
        backups = [dump.stem for dump in (self.shop.root / "backups").glob("*.dump")]
        return re.sub(r"shop-\w{6}-\w+Z-[\w.]+", lambda _: max(backups), line)


@pytest.fixture
def shop(
    runtime: Runtime, committer: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    """Where the reader's project will be; whatever it has started is removed at the end."""
    engine = ThisMachine() if runtime.name == "docker" else None
    project = Checkout(tmp_path_factory.mktemp("tutorial") / "shop", runtime)
    yield project
    if (project.root / ".env").exists():
        if engine:
            engine.remove(f"{project.project}-local")
        runtime.remove(project.root)


def test_the_tutorial(shop: Checkout) -> None:
    reader = Reader(shop)
    for step in tutorial.steps():
        if step.section != NEEDS_ENGINE or shop.runtime.name == "docker":
            reader.follow(step)
