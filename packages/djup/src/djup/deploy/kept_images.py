"""The images of a release that is gone back to: a prune takes those that nothing runs on."""

from collections.abc import Iterable

from djup.deploy.swarm import jobs
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.docker import engine
from djup.host import process
from djup.problems import problem

WEB = "WEB_IMAGE"
KEYS = (WEB, "CADDY_IMAGE", "POSTGRES_IMAGE", "PGBOUNCER_IMAGE")
ABSENT = "the node does not have it"


def refuse_gone(previous: Release, now: Release, swarm: Swarm) -> None:
    """Raise if an image that a way back would start containers of cannot be had."""
    same = {} if previous.number == now.number else now.values
    keys = [key for key in KEYS if key == WEB or previous.values.get(key) != same.get(key)]
    for key, image, why in _gone(previous, keys, swarm):
        way = again(previous) if key == WEB else engine.as_typed(f"pull {image}")
        raise problem("DEP41", number=previous.number, image=image, error=why, again=way)


def refuse_no_way_back(before: Release, after: Release, swarm: Swarm) -> None:
    """Raise if a deploy that fails could not put back what serves now."""
    if before.image != after.image:
        for _, image, why in _gone(before, (WEB,), swarm):
            raise problem("DEP42", number=before.number, image=image, error=why)


def _gone(release: Release, keys: Iterable[str], swarm: Swarm) -> Iterable[tuple[str, str, str]]:
    """The images that a node neither has nor can fetch: the key, the image, and why."""
    for key in keys:
        image = release.values.get(key, "")
        if image and (why := _why_gone(release, image, swarm, local=key == WEB)):
            yield key, image, why


def _why_gone(release: Release, image: str, swarm: Swarm, *, local: bool) -> str:
    alone = len(swarm.nodes) == 1
    if alone and not process.run(["docker", "image", "inspect", image]).code:
        return ""
    if local and "/" not in image:
        return ABSENT  # built on the node itself
    done = jobs.fetch(release, image)
    return "" if done.good else done.error or ABSENT


def again(release: Release, target: str = "") -> str:
    """How there can be such an image again, deployed to `target` (such as `--local`)."""
    deploy = f"inv deploy {target}".rstrip()
    if "-dirty" in release.image:  # what it was built from is nowhere
        return f"go to an older commit in git, then run: {deploy}"
    return f"deploy its commit instead: git switch --detach {release.commit} && {deploy}"
