"""The same tasks on different engines; nothing above this folder knows which one it talks to."""

from importlib import import_module
from types import ModuleType

from ops.env import Settings

MODULES = {"docker": "compose", "embedded": "embedded"}


def of(settings: Settings) -> ModuleType:
    """The runtime that `.env` names, imported only when it is the one."""
    return import_module(f"ops.runtimes.{MODULES[settings.runtime]}")
