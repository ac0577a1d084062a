"""The same tasks on different engines; nothing above this folder knows which one it talks to."""

from types import ModuleType

from ops.env import Settings


def of(settings: Settings) -> ModuleType:
    """The runtime that `.env` names."""
    from ops.runtimes import compose

    return {"docker": compose}[settings.runtime]
