"""A receiver of Sentry's protocol that is a program of its own: Bugsink, in a venv of its own."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stacks import eventually

from djup.host import package_index, packages, ports

VERSION = "bugsink==2.6.2"  # which brings sentry-sdk
PROJECT = (
    "from projects.models import Project; from teams.models import Team;"
    "print(Project.objects.create(name='shop', team=Team.objects.create(name='shop')).dsn)"
)


@dataclass(frozen=True)
class Receiver:
    """Where it listens, by the DSN of its one project; its folder, with its database."""

    dsn: str
    folder: Path

    def events(self) -> list[dict[str, Any]]:
        """What it has taken in, oldest first."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=10)) as database:
            rows = database.execute("select data from events_event order by digested_at")
            return [json.loads(row[0]) for row in rows]

    @property
    def packages(self) -> Path:
        """The folder of sentry-sdk, to lend it to a project that has no lock of it."""
        return next((self.folder / "venv" / "lib").glob("python3*")) / "site-packages"


@contextmanager
def running(folder: Path, first_port: int, address: str = "127.0.0.1") -> Iterator[Receiver]:
    """Install, prepare and start it at an address; it ends with the block."""
    port = ports.free_port(first_port)
    python = _install(folder / "venv")
    _run(folder, python.with_name("bugsink-create-conf"), "--template=local", f"--port={port}")
    manage = python.with_name("bugsink-manage")
    _run(folder, manage, "migrate", "--no-input")
    made = _run(folder, manage, "shell", "--no-imports", "-c", PROJECT)
    argv = [manage, "runserver", "--noreload", f"{address}:{port}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    try:
        eventually(lambda: answers(port, address=address), 30, "Bugsink serves")
        yield Receiver(made.splitlines()[-1].replace("localhost", address), folder)
    finally:
        server.terminate()
        server.wait(10)


def answers(port: int, path: str = "", address: str = "127.0.0.1") -> bool:
    """Whether a server at this port answers at all."""
    try:
        urllib.request.urlopen(f"http://{address}:{port}/{path}", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _install(venv: Path) -> Path:
    uv, environment = packages.PYTHON.with_name("uv"), package_index.environment()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    python = venv / "bin" / "python"
    argv = [uv, "pip", "install", "--quiet", "--python", python, VERSION]
    subprocess.run(argv, check=True, env={**os.environ, **(environment or {})})
    return python


def _run(folder: Path, *argv: str | Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
