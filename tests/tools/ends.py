"""How a task is ended that is at work."""

import os
import signal
import subprocess
from collections.abc import Callable

Child = subprocess.Popen[str]
End = Callable[[Child], None]


def ctrl_c(child: Child) -> None:
    """As a terminal does it: all of its processes."""
    os.killpg(child.pid, signal.SIGINT)


def terminate(child: Child) -> None:
    """As a supervisor, or `kill`, does it: inv alone."""
    os.kill(child.pid, signal.SIGTERM)


def kill(child: Child) -> None:
    """What nobody can catch."""
    os.kill(child.pid, signal.SIGKILL)
