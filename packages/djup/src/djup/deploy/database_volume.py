"""The volume of production's own database, and what it holds: asked on the node that has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from djup.deploy.swarm import jobs, swarm
from djup.deploy.swarm.release import Release
from djup.docker.data_volume import DATA
from djup.problems import problem
from djup.stack import volume_clusters
from djup.stack.volume_clusters import Held

FREE = r"""
[ ! -d "$2" ] || ! command -v flock >/dev/null || { exec 9>>"$2/lock" && flock 9; }
[ -s "$1/main/PG_VERSION" ] || { echo "the cluster $1 does not exist" >&2; exit 1; }"""
SYSTEM = 'echo "${PG_MAJOR:-}"; . /etc/os-release; echo "$ID"'


@dataclass(frozen=True)
class Image:
    """An image of PostgreSQL: its major version, and the ID of its system."""

    name: str
    major: int
    system: str


def survey(release: Release, label: str = "") -> Held:
    """The clusters on the node of the database, or of another label."""
    image = release.values["POSTGRES_IMAGE"]
    if held := volume_clusters.told(_in(release, image, volume_clusters.SURVEY, label=label)):
        return held
    raise problem("DEP77.volume", reason="which cluster of its volume is in use is not certain")


def image(release: Release, name: str) -> Image:
    """What an image is, once the node of the database has it."""
    done = _run(release, name, SYSTEM)
    if not done.good:
        raise problem("DEP77.fetch", jobs.last_lines(done.said), image=name, reason=done.error)
    major, _, system = done.said.partition("\n")
    if not major.isdecimal():
        raise problem("DEP77.unknown", image=name)
    return Image(name, int(major), system.strip())


def use(release: Release, cluster: str, after: str = "") -> None:
    """Have another cluster be the one in use; the database is stopped. Not before whoever makes the
    cluster `after` has ended, who could name that one in use as its last act."""
    script = f"{FREE}; {volume_clusters.ACTIVATE}"
    _in(release, release.values["POSTGRES_IMAGE"], script, cluster, after)


def remove(release: Release, label: str, clusters: Sequence[str]) -> None:
    """Remove clusters permanently, on the node of a label."""
    image = release.values["POSTGRES_IMAGE"]
    _in(release, image, volume_clusters.REMOVE, *clusters, label=label)


def _in(release: Release, image: str, script: str, *arguments: str, label: str = "") -> str:
    """What a shell script prints in the folder of the volume."""
    done = _run(release, image, script, *arguments, label=label)
    if not done.good:
        raise problem("DEP77.volume", jobs.last_lines(done.said), reason=done.error)
    return done.said


def _run(
    release: Release, image: str, script: str, *arguments: str, label: str = ""
) -> jobs.Outcome:
    """Run a shell script in the folder of the volume, in an image of PostgreSQL."""
    chosen = label or swarm.db_label(release.stack)
    words = [
        *("--constraint", f"node.labels.{chosen} == true", "--entrypoint", "sh", image),
        *("-c", f"set -eu; cd {DATA}; {script}", "sh", *arguments),
    ]
    return jobs.in_volume(release, "volume", words)
