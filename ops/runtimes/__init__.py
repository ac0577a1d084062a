"""The same tasks on different engines; nothing above this folder knows which one it talks to."""

from importlib import import_module
from types import ModuleType

from ops import console, docker, env, newenv, problems, process
from ops.env import Settings

MODULES = {"docker": "compose", "embedded": "embedded"}


def of(settings: Settings) -> ModuleType:
    """The runtime that `.env` names, imported only when it is the one."""
    return import_module(f"ops.runtimes.{MODULES[settings.runtime]}")


def switch(settings: Settings, name: str) -> Settings:
    """Stop the stack where it runs now, and write the other runtime into `.env`."""
    if name not in MODULES:
        raise problems.runtime_unknown(name, MODULES)
    if name == settings.runtime:
        return settings
    engine = docker.engine_answers()
    if name == "docker" and not engine:
        raise docker.diagnose("docker version")
    if settings.runtime == "embedded" or engine:
        of(settings).down(settings)
    if not process.mode.dry:
        newenv.set_runtime(name)
    console.say(
        f"RUNTIME in .env is now {name}. The data of {settings.runtime} stay where they are, "
        f"unseen from {name}; this goes back to them: inv up --runtime {settings.runtime}"
    )
    return env.load()
