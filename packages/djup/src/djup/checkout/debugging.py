"""What lets a developer look into the web: django-debug-toolbar by DEBUG_TOOLBAR of `.env`, and
debugpy by `inv up --debug`.

Their packages lie in a folder under .state/, which the web has at the end of its path: no image has
them, and a project need not name them.
"""

import json
import shutil
from pathlib import Path

from djup import ROOT, STATE
from djup.host import packages
from djup.settings.settings import TRUE, Settings, check_number

LOCK = "debug"
PACKAGES = ("django-debug-toolbar", "debugpy")  # what these require, the web has
ON = STATE / "debugged"  # exists from an `inv up --debug` to one without
COMPOSE = STATE / "debug.yaml"
INSIDE = "/srv/debug"  # the folder, in the container
PORT_INSIDE = 5678


def is_debugged() -> bool:
    """Whether the web is to run under debugpy."""
    return ON.exists()


def is_wanted(settings: Settings) -> bool:
    """Whether the web needs the packages."""
    toolbar = settings.values["DEBUG_TOOLBAR"].strip().lower() in TRUE
    return settings.debug and (toolbar or is_debugged())


def port(settings: Settings) -> int:
    """Where an editor attaches, on the loopback interface."""
    check_number(settings.values, "DEBUG_PORT", 1, 65535)
    return int(settings.values["DEBUG_PORT"])


def choose(debug: bool) -> None:
    """Note whether the web is to run under debugpy from now on."""
    if debug:
        STATE.mkdir(mode=0o700, exist_ok=True)
        ON.touch()
    else:
        ON.unlink(missing_ok=True)


def fetch(settings: Settings) -> None:
    """Have the packages here, and the compose file that mounts them."""
    if is_wanted(settings):
        packages.fetch(LOCK, PACKAGES, _folder())
        write(settings)
        for old in {*STATE.glob("debug-*")} - {_folder()}:  # of another version of djup
            shutil.rmtree(old, ignore_errors=True)


def environment(settings: Settings) -> dict[str, str]:
    """What the web gets where it is a process of this machine."""
    if not is_wanted(settings):
        return {}
    address = {"DEBUG_LISTEN": f"127.0.0.1:{port(settings)}"} if is_debugged() else {}
    return {"DEBUG_PACKAGES": str(_folder()), **address}


def compose_files(settings: Settings) -> list[str]:
    """The compose file that gives a container the same; none where nothing is wanted."""
    return [str(COMPOSE.relative_to(ROOT))] if is_wanted(settings) else []


def write(settings: Settings) -> None:
    """Write that compose file, if it is wanted."""
    if is_wanted(settings):
        COMPOSE.write_text(json.dumps({"services": {"web": _service(settings)}}, indent=1))


def _service(settings: Settings) -> dict[str, object]:
    # Requests come from the gateway of the container's network; the port is published on loopback.
    variables = {"DEBUG_PACKAGES": INSIDE, "DEBUG_BY_GATEWAY": "1"}
    mount = {"type": "bind", "source": f"../.state/{_folder().name}", "target": INSIDE}
    mounts = [{**mount, "read_only": True, "bind": {"create_host_path": False}}]
    if not is_debugged():
        return {"environment": variables, "volumes": mounts}
    listen = {"DEBUG_LISTEN": f"0.0.0.0:{PORT_INSIDE}"}
    ports = [f"127.0.0.1:{port(settings)}:{PORT_INSIDE}"]
    more = {
        "ports": ports,
        "init": True,
    }  # who reaps what each reload leaves
    return {"environment": {**variables, **listen}, "volumes": mounts, **more}


def _folder() -> Path:
    """The folder of the packages; others of them lie in another one."""
    return STATE / f"debug-{packages.digest(LOCK, PACKAGES)}"
