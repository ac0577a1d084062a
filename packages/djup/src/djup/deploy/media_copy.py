"""`inv media.copy`: uploads of a deployed stack into a bucket, or back into its volume."""

import os

from djup.deploy import media, media_client, production
from djup.deploy.swarm import toolbox
from djup.deploy.target import find_target
from djup.problems import problem
from djup.settings.settings import Settings

VOLUME = "volume"


def run(settings: Settings, context: str, *, local: bool, source: str, to: str) -> None:
    """Copy what is there; run again, it goes on where it was broken off."""
    places = (source or VOLUME, to or VOLUME)
    if VOLUME not in places or not any(map(media.is_bucket, places)):
        raise problem("DEP52")
    target = find_target(settings, context, local=local)
    release = target.release()
    if nodes := media_client.nodes_of_volume(release, target.swarm):
        raise problem("DEP53", nodes=", ".join(nodes))
    words = [*(("--from", source) if media.is_bucket(source) else ("--to", to))]
    with toolbox.toolbox(release, target.swarm) as container:
        command = ["python", "manage.py", "media_copy", *words]
        toolbox.attach(container, command, _way_in(settings))


def _way_in(settings: Settings) -> dict[str, str]:
    """The keys of the bucket, as `.env` has them for production; they stay out of argv."""
    chosen = production.preferred(settings)
    given = {key: chosen.get(key, "") for key in media.KEYS[1:]}
    return {key: value or os.environ.get(key, "") for key, value in given.items()}
