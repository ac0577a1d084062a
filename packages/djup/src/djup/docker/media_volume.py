"""The volume media, in which uploads are: its name, and that the web may write into it."""

import json

from djup import STATE
from djup.docker import data_volume, resources
from djup.host import process
from djup.host.uploads import MEDIA
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.terminal.task import this_task

NOTE = STATE / "media.json"
# A new volume is root's, and one that is older may be of another APP_UID.
GIVE = f'mkdir -p {MEDIA}/files && chown -hR "$0" {MEDIA}'


def name_of(settings: Settings) -> str:
    """The volume's name, as Compose forms it."""
    return f"{settings.project}_media"


def prepare(settings: Settings, image: str) -> None:
    """Have the volume be there, and belong to APP_UID; `image` is one that has a shell."""
    if not layout().media:
        return
    name = name_of(settings)
    data_volume.claim(settings, resources.inspect(name).get(name), "media")
    made = resources.inspect(name).get(name, {}).get("CreatedAt", "")
    facts = {"volume": name, "made": made, "owner": owner(settings)}
    if this_task.dry or facts == _noted():
        return
    whom = ["--user", "0:0", "--network", "none", "--entrypoint", "sh"]
    mount = ["--volume", f"{name}:{MEDIA}"]
    process.attach_or_fail(
        ["docker", "run", "--rm", *whom, *mount, image, "-c", GIVE, owner(settings)],
        env=settings.child_environment(),
        progress=True,
    )
    NOTE.write_text(json.dumps(facts), encoding="utf-8")


def owner(settings: Settings) -> str:
    """Whom the uploads belong to: UID:GID."""
    return f"{settings.values['APP_UID']}:{settings.values['APP_GID']}"


def _noted() -> object:
    """What the volume was when it was given away last; None where that is not known."""
    try:
        return json.loads(NOTE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
