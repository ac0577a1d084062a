"""What tests need of this machine, and what they take from it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do what it does")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
needs_faketime = pytest.mark.skipif(not FAKETIME, reason="apt install libfaketime")


def git(folder: Path, *words: str) -> str:
    """What git prints, in a folder of somebody who has told it their name."""
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    argv = ["git", *who, *words]
    done = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def path_without(missing: str) -> Iterator[Path]:
    """Every command of this machine but one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)  # the server's account looks into it as well
        for entry in os.environ["PATH"].split(os.pathsep):
            for command in Path(entry).iterdir() if Path(entry).is_dir() else ():
                if command.name != missing and not (path / command.name).is_symlink():
                    (path / command.name).symlink_to(command)
        yield path
