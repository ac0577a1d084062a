"""Runs command lines of `inv`, each in a process of its own that need not load the toolkit again.

Started by the Python of a checkout, in its root. A line on stdin is a command in JSON: its words,
environment, folder, and the files that are its stdin, stdout and stderr. The line on stdout that
answers it is the exit code.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))
sys.path.insert(0, str(Path.cwd() / "packages/djup/src"))

import tasks  # noqa: F401
from djup.cli import entry


def become(command: dict[str, Any]) -> None:
    """What `./inv` is when it has just been started."""
    os.setsid()
    os.environ.clear()
    os.environ.update(command["env"])
    os.chdir(command["cwd"])
    for number, name in enumerate(command["streams"]):
        os.dup2(os.open(name, os.O_RDWR), number)
    sys.argv = ["-c", *command["words"]]


for line in sys.stdin:
    child = os.fork()
    if not child:
        become(json.loads(line))
        entry.main()
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
