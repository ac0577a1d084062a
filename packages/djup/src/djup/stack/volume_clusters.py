"""The clusters of the volume: folders side by side, of which the file `active` names the one in
use. Each has the notes that compose/db.yaml's entrypoint reads and writes."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from djup import STATE
from djup.checkout import env_file
from djup.docker import containers, data_volume, engine, resources
from djup.host import process
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack import images
from djup.terminal import console
from djup.terminal.task import this_task

KEY = "POSTGRES_IMAGE"
PENDING = STATE / "switch.json"
# The one in use, as compose/db.yaml finds it. Then one line for each: name, version, system, image,
# superuser, kilobytes, whether it is finished, or a standby's copy.
SURVEY = r"""
note() { cat "$folder$1" 2>/dev/null || true; }
cat active 2>/dev/null || echo "${PG_MAJOR:-}"
for folder in */; do
  [ -s "${folder}main/PG_VERSION" ] || [ -e "${folder}unfinished" ] || continue
  finished=yes; [ ! -e "${folder}unfinished" ] || finished=no
  [ ! -e "${folder}main/standby.signal" ] || finished=copy
  printf '%s\t' "${folder%/}" "$(note main/PG_VERSION)" "$(note system)" "$(note image)" \
    "$(note superuser)" "$(du -sk "$folder" 2>/dev/null | cut -f 1)"
  echo "$finished"
done
"""
ACTIVATE = 'echo "$1" >active.part && sync active.part && mv active.part active && sync .'
# What is half removed looks like what is half made, and goes the next time. A server has the lock
# of its cluster, whatever anybody believes to be in use.
REMOVE = r"""
for name; do
  if command -v flock >/dev/null && [ -e "$name/lock" ] && ! flock -n "$name/lock" true; then
    echo "the cluster $name is in use" >&2
    exit 1
  fi
  touch "$name/unfinished" && rm -rf "$name"/main* && rm -rf "$name"
done
"""


@dataclass(frozen=True)
class Cluster:
    """A folder of the volume with its major version, the ID of the system that it was written on,
    the image and the superuser it was made with ('' where that was not noted), its size, whether
    its making came to an end, and whether it is a standby's copy, which was never promoted."""

    name: str
    version: str
    system: str
    image: str
    superuser: str
    kilobytes: int
    finished: bool
    is_copy: bool = False

    @property
    def size(self) -> str:
        """Its size in words."""
        return console.size(self.kilobytes * 1024)


@dataclass(frozen=True)
class Held:
    """What a volume holds: the cluster in use, and the others."""

    active: Cluster
    others: list[Cluster]

    def free_name(self, major: str) -> str:
        """A name for a new cluster: 18, or 18-2 where that is taken."""
        taken = {self.active.name, *(cluster.name for cluster in self.others if cluster.finished)}
        names = (major, *(f"{major}-{number}" for number in range(2, 1000)))
        return next(name for name in names if name not in taken)


def filler_of(settings: Settings) -> str:
    """The container of a new server, while it fills its cluster."""
    return f"{settings.project}-db-upgrade"


def is_there(settings: Settings) -> bool:
    """Whether there is a volume for clusters to be in."""
    return bool(resources.inspect(data_volume.name_of(settings)))


def survey(settings: Settings) -> Held:
    """What the volume holds; it has to be there."""
    if held := told(_in_volume(settings, SURVEY)):
        return held
    raise problem("DB01", state="without data")


def told(text: str) -> Held | None:
    """What SURVEY has printed of a volume; None where no cluster of it is in use."""
    active, *lines = text.splitlines()
    clusters = [_cluster(*line.split("\t")) for line in lines]
    named = [cluster for cluster in clusters if cluster.name == active]
    named = named or [cluster for cluster in clusters if cluster.finished]
    if len(named) != 1:  # an image of another version finds none of several to be in use
        return None
    return Held(named[0], [cluster for cluster in clusters if cluster != named[0]])


def _cluster(
    name: str, version: str, system: str, image: str, superuser: str, size: str, finished: str
) -> Cluster:
    made, is_copy = finished != "no", finished == "copy"
    return Cluster(name, version, system, image, superuser, int(size), made, is_copy)


def remove(settings: Settings, names: list[str]) -> None:
    """Remove clusters for good."""
    _in_volume(settings, REMOVE, *names)


def switch(
    settings: Settings, cluster: str, image: str, activate: Callable[[], object] | None = None
) -> Settings:
    """Have another cluster be in use, and `.env` name its image; the database is stopped.

    It is the file `active` that decides: killed after it, `finish_switch` does the rest. Whoever
    can `activate` the cluster in passing lends that.
    """
    STATE.mkdir(mode=0o700, exist_ok=True)
    PENDING.write_text(json.dumps([cluster, image]))
    if activate:
        activate()
    else:
        _in_volume(settings, ACTIVATE, cluster)
    return _follow(settings, image)


def finish_switch(settings: Settings) -> Settings:
    """What a killed switch has left to do."""
    if this_task.dry:
        return settings
    try:
        cluster, image = json.loads(PENDING.read_text())
    except (OSError, ValueError):
        return settings
    if resources.inspect(filler_of(settings)):  # before it can switch behind our back
        containers.remove_containers([filler_of(settings)])
    if is_there(settings) and survey(settings).active.name == cluster:
        return _follow(settings, image)
    PENDING.unlink(missing_ok=True)
    return settings


def _follow(settings: Settings, image: str) -> Settings:
    """To the cluster that is in use now."""
    if db := containers.running(settings, "db"):
        process.attach_or_fail(["docker", "stop", db.name], progress=True)
    if settings.values[KEY] != image:
        env_file.write_values({KEY: image})
        console.say(f"{KEY}={image} is now in .env")
    PENDING.unlink(missing_ok=True)
    return settings.with_values({KEY: image})


def mounted(settings: Settings) -> list[str]:
    """Flags of a container beside the services that works on the volume."""
    mount = f"{data_volume.name_of(settings)}:{data_volume.DATA}"
    # As in compose/db.yaml: the image of version 17 declares a volume there.
    return [*containers.one_off(settings), "--volume", mount, "--tmpfs", f"{data_volume.DATA}/data"]


def _in_volume(settings: Settings, script: str, *arguments: str) -> str:
    """Run a shell script in the volume's folder: in the database's container, else in a new one."""
    command = [f"set -eu; cd {data_volume.DATA}; {script}", "sh", *arguments]
    if db := containers.running(settings, "db"):
        argv = ["docker", "exec", db.name, "sh", "-c", *command]
    else:
        images.ensure(settings, KEY)
        run = ["docker", "run", "--rm", *mounted(settings), "--entrypoint", "sh"]
        argv = [*run, settings.values[KEY], "-c", *command]
    done = process.run(argv)
    if done.code:
        raise engine.diagnose("docker run", done.err)
    return done.out
