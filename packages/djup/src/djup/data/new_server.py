"""A second server on the volume, from another image, that fills a cluster of its own.

It lives as long as the task does: its container ends when its stdin does, and then takes its folder
away, unless it was told to keep it. So a killed task leaves nothing at work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from djup.docker import containers, data_volume, engine, resources
from djup.host import process
from djup.host.process import Result
from djup.postgres import local_server
from djup.postgres.client import Client, last_error
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack import volume_clusters
from djup.stack.volume_clusters import Cluster

SHOWN = 6  # lines of its log that prove a failure
# Nothing is waited for to be on disk before all is; no statement, which may hold a password's
# hash, goes into a log; and nobody comes in between.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "archive_mode": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
}
# Settings that were made by ALTER SYSTEM, and who may connect, are of no version.
CARRIED = "pg_hba.conf pg_ident.conf postgresql.auto.conf"
SERVER = rf"""
set -eu
home={data_volume.DATA} ours={data_volume.DATA}/$CLUSTER
export PGDATA="$ours/main"
exec 3<&0 4>&1 1>&2
# As long as there is but one cluster, the image's version would name it.
[ -e "$home/active" ] || echo "$BEFORE" >"$home/active"
mkdir "$ours"
trap 'rm -rf "$ours"' EXIT
touch "$ours/unfinished"
(. /etc/os-release && echo "$ID") >"$ours/system"
echo "$IMAGE" >"$ours/image"
echo "$PGUSER" >"$ours/superuser"
chown postgres "$ours"
eval "gosu postgres initdb --username=\"\$PGUSER\" --no-sync $POSTGRES_INITDB_ARGS" >/dev/null
for file in {CARRIED}; do cp "$home/$BEFORE/main/$file" "$PGDATA/$file"; done
chown postgres "$PGDATA"/*.conf
gosu postgres "$@" 3<&- &
server=$!
(until pg_isready --quiet --dbname postgres; do sleep 0.05; done; echo ready >&4) &
end() {{ if read -r word <&3; then touch "$ours/$word"; kill -INT "$1"; else kill -QUIT "$1"; fi; }}
end "$server" &
wait "$server" && [ -e "$ours/keep" ]
gosu postgres initdb --sync-only >/dev/null
rm "$ours/keep" "$ours/unfinished"
sync "$ours" "$home"
trap - EXIT
cd "$home"
set -- "$CLUSTER"
{volume_clusters.ACTIVATE}
"""


@dataclass
class NewServer:
    """A server that is being started: `client` leads to it as its superuser."""

    client: Client
    old: Client
    image: str
    old_image: str
    stdin: IO[bytes]
    stdout: IO[bytes]
    ended: Callable[[], Result]

    def wait(self) -> None:
        """Until it answers."""
        if self.stdout.readline() != b"ready\n":
            raise self._failed()

    def filled(self) -> int:
        """How much its cluster holds by now."""
        counted = self.client.run("sh", "-c", f'du -sk "{data_volume.DATA}/$CLUSTER"').out.split()
        return int(counted[0]) * 1024 if counted else 0

    def take_over(self) -> None:
        """Stop it and the old one, have all of it on disk, and its cluster be the one in use."""
        self.stdin.write(b"keep\n")
        self.stdin.flush()
        # From here on it is the new one that decides: it switches as its last act.
        process.attach(["docker", "stop", self.old.container], progress=True)
        if self.ended().code:
            raise self._failed()

    def _failed(self) -> Problem:
        said = self.ended().err
        evidence = "\n".join(said.splitlines()[-SHOWN:])
        reason = last_error(said)
        return problem("DB17", evidence, image=self.image, reason=reason, old=self.old_image)


@contextmanager
def started(
    settings: Settings, old: Client, before: Cluster, name: str, image: str
) -> Iterator[NewServer]:
    """Have a server of `image` be started for a new cluster `name`, in the network of the old one,
    which needs no password at 127.0.0.1."""
    container = volume_clusters.filler_of(settings)
    inspected = resources.inspect(container, old.container)
    if container in inspected:  # of a killed task
        containers.remove_containers([container])
    old_container = inspected[old.container]
    initdb = resources.environment(old_container).get("POSTGRES_INITDB_ARGS", "")
    values = {
        "CLUSTER": name,
        "BEFORE": before.name,
        "IMAGE": image,
        "PGUSER": old.variables["PGUSER"],
        "POSTGRES_INITDB_ARGS": initdb,
    }
    flags = ["--name", container, "--network", f"container:{old.container}"]
    argv = _command(settings, flags, values, old_container["Config"]["Cmd"])
    client = Client(old.project, container, "", old.variables, data_volume.DATA, "")
    with process.talk(argv) as (stdin, stdout, ended):
        yield NewServer(client, old, image, before.image, stdin, stdout, ended)


def _command(
    settings: Settings, flags: Sequence[str], values: Mapping[str, str], server: Sequence[str]
) -> list[str]:
    """`docker run` with SERVER, which starts the `server` with these options besides."""
    argv = ["docker", "run", "--rm", "--interactive", *flags, *volume_clusters.mounted(settings)]
    argv += ["--shm-size", str(local_server.SHARED_MEMORY)]
    argv += engine.env_words(map("=".join, values.items()))
    argv += ["--entrypoint", "sh", values["IMAGE"], "-c", SERVER, "sh", *server]
    return [*argv, *(word for pair in OPTIONS.items() for word in ("-c", "=".join(pair)))]
