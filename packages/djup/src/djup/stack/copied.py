"""A checkout that was copied or moved with its `.env`: `inv up` makes it one of its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from djup import ROOT
from djup.checkout import env, env_file
from djup.checkout.create import project_name
from djup.host import ports
from djup.host.checkout_lock import STATE
from djup.problems import problem
from djup.settings import dotenv, typos
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.task import this_task


def end_forgotten() -> None:
    """End what still runs here of an embedded stack whose notes are gone, as after a `git clean`,
    before its port and its data folder are looked at."""
    if not STATE.exists():
        from djup.stack import strays  # slow to load, and seldom needed

        strays.end(strays.find(()))


def settle(settings: Settings) -> Settings:
    """Give a copied checkout its own name and port; note the new folder of one that was moved."""
    made_for, here = settings.values["CHECKOUT"], {"CHECKOUT": str(ROOT)}
    if not made_for or made_for == str(ROOT):
        return settings
    if folder := env.original(settings):
        name = project_name()
        port = ports.free_port(settings.web_port + 1)  # not the original's, even if that is down
        values = {"COMPOSE_PROJECT_NAME": name, "WEB_PORT": str(port), **here}
        return _write(settings, f".env was copied from {folder}, which keeps its own data", values)
    _carry_data(Path(made_for))
    return _write(settings, f"this folder was moved from {made_for}", here)


def _carry_data(before: Path) -> None:
    """Data that root's server has outside are named by the folder's path: they follow it."""
    from djup.postgres import local_server  # slow to load, and seldom needed

    old, new = (local_server.OUTSIDE / project_name(root) for root in (before, ROOT))
    if old.exists() and not new.exists() and not this_task.dry:
        console.say(f"its data move from {old} to {new}")
        old.rename(new)
        for copy in local_server.copies(before):  # of the programs: another is made
            shutil.rmtree(copy, ignore_errors=True)


def tell_of_slips(settings: Settings) -> None:
    """Name the keys that look mistyped: what they should have set has its default instead."""
    for key, meant in typos.find(settings.own, env.known_keys()).items():
        console.say(problem("ENV11", key=key, meant=meant).as_note())


def move_to_port(settings: Settings, port: str) -> Settings:
    """Serve the page on another port from now on."""
    wanted = settings.with_values({"WEB_PORT": port}).web_port  # checked
    if wanted == settings.web_port:
        return settings
    ports.refuse_taken(wanted)
    return _write(settings, f"the page moves from port {settings.web_port}", {"WEB_PORT": port})


def _write(settings: Settings, why: str, values: Mapping[str, str]) -> Settings:
    changed = settings.with_values(values)
    words = ", ".join(f"{key}={value}" for key, value in values.items())
    if this_task.dry:
        console.say(f"{why}: .env would have {words}")
        return changed
    env_file.write_values({key: dotenv.quoted(value) for key, value in values.items()})
    console.say(f"{why}: .env now has {words}")
    return env.load()
