"""The uploads of a deployed stack for the tasks of its data: a program in a container with them."""

from collections.abc import Iterator
from contextlib import contextmanager

from djup.deploy import media
from djup.deploy.swarm import toolbox
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm, proxy_label
from djup.host.uploads import CODE, MEDIA, MEDIA_ROOT, RUN_CODE, Uploads
from djup.terminal import console


@contextmanager
def uploads(release: Release, swarm: Swarm) -> Iterator[Uploads | None]:
    """The uploads beside the stack's database; None where it has none, or they are elsewhere."""
    if release.values.get("MEDIA_ROOT") != MEDIA_ROOT:
        yield None
    elif why := _elsewhere(release, swarm):
        console.say(f"the uploads are {why}: they stay as they are, and are in no backup")
        yield None
    else:
        with toolbox.toolbox(release, swarm) as container:
            exec_ = ("docker", "exec", "--interactive", "--env", CODE, container)
            yield Uploads(MEDIA, lambda: [*exec_, "python3", "-I", "-c", RUN_CODE])


def _elsewhere(release: Release, swarm: Swarm) -> str:
    """Where the uploads are, in words, if no container here has them; else ''."""
    if media.is_bucket(address := release.values["MEDIA"]):
        return f"in {address}"
    nodes = nodes_of_volume(release, swarm)
    return "" if not nodes else f"on {', '.join(nodes)}"


def nodes_of_volume(release: Release, swarm: Swarm) -> list[str]:
    """The names of the nodes that have the volume, if that is not the one that we speak to."""
    if release.values.get("MEDIA_NFS_OPTIONS") or len(swarm.nodes) == 1:
        return []
    proxies = swarm.labelled(proxy_label(release.stack))
    here = swarm.here in [node.id for node in proxies]
    return [] if here else [node.name for node in proxies]
