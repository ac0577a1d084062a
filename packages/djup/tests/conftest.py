"""For `unit` and `cli`: `djup` and `tasks` come from this checkout, wherever pytest is called."""

import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("", "packages/djup/src", "packages/djup/tests/tools")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]


def pytest_configure(config: pytest.Config) -> None:
    # Begun in the background of a script, a runner ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
