"""The uploads on the Docker runtime: a program in the web's container, or in one of its own."""

from djup.docker import containers, media_volume
from djup.host.uploads import CODE, MEDIA, RUN_CODE, Uploads
from djup.settings.layout import layout
from djup.settings.settings import Settings
from djup.stack import images

KEY = "PYTHON_IMAGE"
RUN = ("-I", "-c", RUN_CODE)


def of(settings: Settings) -> Uploads | None:
    """The uploads of this project; None where the tasks know of none."""
    return Uploads(MEDIA, lambda: _python(settings)) if layout().media else None


def _python(settings: Settings) -> list[str]:
    """The beginning of a command that runs Python where the volume is, as the web's user."""
    web = containers.running(settings, "web")
    if web and media_volume.name_of(settings) in web.mounts.split(","):
        return ["docker", "exec", "--interactive", "--env", CODE, web.name, "python3", *RUN]
    images.ensure(settings, KEY)
    image = settings.values[KEY]
    media_volume.prepare(settings, image)
    volume = f"{media_volume.name_of(settings)}:{MEDIA}"
    return [
        *("docker", "run", "--rm", "--interactive", "--network", "none"),
        *("--user", media_volume.owner(settings), "--env", CODE, "--volume", volume),
        *containers.one_off(settings),
        *("--entrypoint", "python3", image, *RUN),
    ]
