"""debugpy, where DEBUG_LISTEN names the address at which an editor may attach.

`inv up --debug` sets it. The server waits for no editor. When it starts again after a change of
the code, it listens at the same address, and the editor attaches again.
"""

import os
import socket
import time
from collections.abc import Callable
from importlib import import_module

from djup_web import env
from djup_web.toolbar import add_packages

KEY = "DEBUG_LISTEN"
SECONDS = 5  # an editor lets go of the process before within one


def listen(environ: env.Environ, tell: Callable[[str], None]) -> None:
    """Let an editor attach to this process; without one, and where it cannot be, all goes on."""
    if not environ.get(KEY):
        return
    add_packages(environ)
    host, _, port = environ[KEY].rpartition(":")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # it would warn of frozen modules
    try:
        _wait_until_free(host, int(port))
        import_module("debugpy").listen((host, int(port)))
    except (ImportError, OSError, RuntimeError) as error:
        tell(f"No debugger: {error}.")
    else:
        tell(f"debugpy listens on {environ[KEY]}")


def _wait_until_free(host: str, port: int) -> None:
    """Until the process before this one has let go of the port."""
    deadline = time.monotonic() + SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return probe.bind((host, port))
            except OSError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.05)
