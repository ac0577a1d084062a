"""docs/tutorial.md from its first command to its last, as a reader follows it."""

import os
import re
import subprocess
from collections.abc import Iterator

import checkout
import pytest
import tutorial
from nodes import ThisMachine
from shapes import git
from stacks import PATIENCE, Checkout, Runtime, eventually
from tutorial import Command, Edit

from djup import ROOT

NEEDS_ENGINE = "Deploy it on this machine"  # the section
# Lines that only Docker's runtime prints.
ON_DOCKER = re.compile(r"docker |SERVICE  |\w+ +Up ")
BACKUP = re.compile(r"shop-\w{6}-\w+Z-[\w.]+")


class Reader:
    """Runs the page's commands in a shell, and saves its files."""

    def __init__(self, shop: Checkout) -> None:
        self.shop, self.folder, self.path = shop, ROOT, os.environ["PATH"]

    def follow(self, step: Command | Edit) -> None:
        if isinstance(step, Edit):
            step.apply(self.shop.root)
        elif step.line.startswith("cd "):
            self._enter()
        elif step.line == ". .venv/bin/activate":
            self.path = f"{self.folder / '.venv' / 'bin'}:{self.path}"
        elif step.line.startswith("curl "):  # Django's server may be about to see the last edit
            eventually(lambda: self._run(step)[1] == [], 20, step.line)
        else:
            done, missing = self._run(step)
            assert (done.returncode, missing) == (0, []), f"{step.line}\n{done.stdout}"

    def _enter(self) -> None:
        """Go into the new project, whose ports are looked for in the range of this process."""
        self.folder = self.shop.root
        checkout.begin_at(self.folder, checkout.first_port())
        git(self.folder, "update-index", "--skip-worktree", ".env.example")

    def _run(self, step: Command) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run a command; which of the lines that the page shows it has not printed."""
        done = subprocess.run(
            ["bash", "-c", self._here(step.line)],
            cwd=self.folder,
            env={**os.environ, "PATH": self.path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240 * PATIENCE,
        )
        docker = self.shop.runtime.name == "docker"
        shown = [line for line in step.shown if docker or not ON_DOCKER.match(line)]
        return done, tutorial.missing(shown, done.stdout)

    def _here(self, line: str) -> str:
        """The command, with the names of this run in place of the page's."""
        if line == "./inv up":
            line += f" --runtime {self.shop.runtime.name}"
        line = line.replace("../shop", str(self.shop.root))
        if (self.shop.root / ".env").exists():
            line = line.replace("http://127.0.0.1:8000/", self.shop.url)
        backups = [dump.stem for dump in (self.shop.root / "backups").glob("*.dump")]
        return BACKUP.sub(lambda _: max(backups), line)


@pytest.fixture
def shop(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Where the reader's project will be; whatever it has started is removed at the end."""
    engine = ThisMachine() if runtime.name == "docker" else None
    project = Checkout(tmp_path_factory.mktemp("tutorial") / "shop", runtime)
    yield project
    if (project.root / ".env").exists():
        if engine:
            engine.remove(f"{project.project}-local")
        runtime.remove(project.root)


def test_the_tutorial(shop: Checkout) -> None:
    """On Docker to its end: it needs a Swarm, so it runs where deploys are tested."""
    reader = Reader(shop)
    for step in tutorial.steps():
        if step.section != NEEDS_ENGINE or shop.runtime.name == "docker":
            reader.follow(step)
