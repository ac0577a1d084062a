"""The `inv` command: what the launcher starts."""

import signal
import sys
from types import FrameType, ModuleType

from djup.terminal import hangup


def main() -> None:
    """Load the tasks and run those that the command line names."""
    for signum in (signal.SIGTERM, signal.SIGHUP):  # so that what a task has begun is cleaned up
        signal.signal(signum, _end)
    try:
        _run_tasks()
    except KeyboardInterrupt:  # before a task had begun
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        hangup.let_go(sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except ModuleNotFoundError as error:
        if error.name not in ("invoke", "dotenv"):
            raise
        from djup.host.packages import LOCKS, READY

        for note in (*LOCKS.glob("*.txt"), READY):  # the launcher then installs again
            note.unlink(missing_ok=True)
        sys.exit(
            ".venv was created by another Python; run the same command again to create it again"
        )


def _end(signum: int, frame: FrameType | None) -> None:
    hangup.hear(signum)
    if signum == signal.SIGHUP:  # a shell and the kernel both send it: once is enough
        signal.signal(signum, lambda *_: None)
    sys.exit(128 + signum)


def _run_tasks() -> None:
    _import_invoke()
    from djup.cli.program import run
    from tasks import namespace

    try:
        run(namespace)
    finally:
        sys.stdout.flush()  # here, where a broken pipe can still be answered


def _import_invoke() -> None:
    # A third of Invoke's start goes into two imports that no task needs: unittest.mock, and with
    # it asyncio and ssl, for a class that tests of tasks use; importlib.metadata for its own
    # version. Stand-ins take their places while Invoke's import lasts.
    mock, metadata = ModuleType("unittest.mock"), ModuleType("importlib.metadata")
    mock.Mock = None  # type: ignore[attr-defined]
    metadata.version = lambda name: "unknown"  # type: ignore[attr-defined]
    stand_ins = {module.__name__: module for module in (mock, metadata)}
    sys.modules.update(stand_ins)
    try:
        import invoke  # noqa: F401
    finally:
        for name in stand_ins:
            del sys.modules[name]
