"""The `inv` command: what the launcher starts."""

import sys
from types import ModuleType


def main() -> None:
    """Load the tasks and run those that the command line names."""
    try:
        _import_invoke()
        from ops.cli import run
        from tasks import namespace

        run(namespace)
    except KeyboardInterrupt:  # before a task had begun
        sys.exit(130)


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
