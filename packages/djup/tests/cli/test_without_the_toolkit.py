"""The Django project by itself, by the manual's commands: plain pip, and SQLite."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import checkout
from toolkit import free_port

PIP = ("pip", "install", "--quiet")


def test_the_project_runs_on_sqlite(tmp_path: Path) -> None:
    root, venv = checkout.make(tmp_path / "shop"), tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / "bin" / "python"
    for more in (
        ("--require-hashes", "-r", "requirements/base.txt"),
        ("--no-deps", "./packages/djup-web"),
    ):
        subprocess.run([python, "-m", *PIP, *more], cwd=root, check=True)
    environment = {"DEBUG": "1", "PATH": os.environ["PATH"]}
    manage = [python, "project/manage.py"]
    subprocess.run([*manage, "migrate"], cwd=root, env=environment, check=True)
    assert (root / "project" / "db.sqlite3").is_file()
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen([*manage, "runserver", address], cwd=root, env=environment) as server:
        try:
            assert "SQLite" in page(f"http://{address}/")
        finally:
            server.terminate()


def page(url: str) -> str:
    """The page, once the server has started."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
