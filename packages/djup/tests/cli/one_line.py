"""`inv` as it is typed, but a task that fails does not end the command line; `calls` says whose
each call of docker is.

Run by the Python of a checkout, in its root; the words are inv's own.
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))
sys.path.insert(0, "packages/djup/src")

from invoke.exceptions import Exit

from djup.cli import program
from tasks import namespace

CALLS = Path(os.environ["FAKE_HOME"], "calls")
run_one = program.Command.__call__


def go_on(task: program.Command, *arguments: Any, **options: Any) -> None:
    with CALLS.open("a") as calls:
        calls.write(f"task {task.body.__name__}\n")
    try:
        run_one(task, *arguments, **options)
    except Exit as failed:
        print(failed.message, file=sys.stderr)


program.Command.__call__ = go_on  # type: ignore[method-assign]
program.run(namespace)
