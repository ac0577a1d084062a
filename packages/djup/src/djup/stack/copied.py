"""A checkout that was copied or moved with its `.env`: `inv up` makes it one of its own."""

import shutil
from pathlib import Path

from djup import ROOT
from djup.checkout import env
from djup.checkout.create import mail_port, project_name
from djup.host import ports
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.task import this_task


def settle(settings: Settings) -> Settings:
    """Give a copied checkout its own name and port; note the new folder of one that was moved."""
    made_for, here = settings.values["CHECKOUT"], {"CHECKOUT": str(ROOT)}
    if not made_for or made_for == str(ROOT):
        return settings
    if folder := env.original(settings):
        name = project_name()
        port = ports.free_port(settings.web_port + 1)  # not the original's, even if that is down
        own_ports = {"WEB_PORT": str(port), "MAIL_PORT": mail_port(str(port))}
        values = {"COMPOSE_PROJECT_NAME": name, **own_ports, **here}
        return env.write(
            settings, f".env was copied from {folder}, which keeps its own data", values
        )
    _carry_data(Path(made_for))
    return env.write(settings, f"this folder was moved from {made_for}", here)


def _carry_data(before: Path) -> None:
    """Data that root's server has outside are named by the folder's path: they follow it."""
    from djup.postgres import local_server  # slow to load, and seldom needed

    old, new = (local_server.OUTSIDE / project_name(root) for root in (before, ROOT))
    if old.exists() and not new.exists() and not this_task.dry:
        console.say(f"its data move from {old} to {new}")
        old.rename(new)
        for copy in local_server.copies(before):  # of the programs: another is made
            shutil.rmtree(copy, ignore_errors=True)
