"""compose/prod/pooler.yaml with a PostgreSQL behind it, on the Docker engine of this machine."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stacks import docker, eventually

from djup import ROOT
from djup.checkout import env_file
from djup.settings import dotenv

EXAMPLE = dotenv.parse(env_file.EXAMPLE.read_text())
POSTGRES = EXAMPLE["POSTGRES_IMAGE"]
STAND_IN = "pgbouncer-stand-in"
PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
# The libraries that PostgreSQL has as well are those of its image.
DOCKERFILE = f"FROM {POSTGRES}\nCOPY root/usr/sbin /usr/local/bin\nCOPY root/usr/lib /usr/lib\n"
USER, PASSWORD, DATABASE = "ann", "it\"s 5% @home 'x", "shop-1"
POOL_SIZE, MAX_CONNECTIONS = 20, 40
# What production takes from Swarm: the secret, the network, a file of certificates that is not read
# here; and a port for the tests.
BESIDE = """
services:
  db:
    image: ${POSTGRES}
    command: ["postgres", "-c", "fsync=off", "-c", "max_connections=${MAX_CONNECTIONS}"]
    environment:
      POSTGRES_USER: ${SQL_USER}
      POSTGRES_DB: ${DATABASE}
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
    networks: [back]
    tmpfs: [/var/lib/postgresql]
    ports: ["127.0.0.1::5432"]
  pooler:
    secrets: !override [userlist]
    ports: ["127.0.0.1::6432"]
networks:
  back:
secrets:
  userlist: !override {file: ./userlist}
configs:
  ca: !override {file: ./userlist}
"""


def image() -> str:
    """An image that has PgBouncer: one that is here, or a stand-in of Debian's; '' if neither."""
    for name in (os.environ.get("PGBOUNCER_IMAGE", ""), EXAMPLE["PGBOUNCER_IMAGE"], STAND_IN):
        if name and docker("image", "inspect", name, check=False).returncode == 0:
            return name
    return STAND_IN if shutil.which("apt-get") else ""


def build(folder: Path) -> None:
    """The stand-in, in this folder; without a registry, from packages alone."""
    argv = ["apt-get", "download", "--quiet", *PACKAGES]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    docker("build", "--tag", STAND_IN, str(folder))


@dataclass(frozen=True)
class Pooler:
    """The two containers, as one Compose project in a folder."""

    folder: Path
    project: str
    values: Mapping[str, str]

    def compose(self, *arguments: str, check: bool = True) -> str:
        files = ("--file", str(ROOT / "compose/prod/pooler.yaml"), "--file", "beside.yaml")
        known = ("--project-name", self.project, "--project-directory", str(self.folder))
        argv = ("compose", *known, *files, *arguments)
        return docker(*argv, check=check, cwd=self.folder, env=os.environ | self.values).stdout

    def port(self) -> int:
        return int(self.compose("port", "pooler", "6432").rpartition(":")[2])

    def server_port(self) -> int:
        """The port of the server itself."""
        return int(self.compose("port", "db", "5432").rpartition(":")[2])

    def sql(self, statement: str) -> str:
        """The answer of the server itself, not by way of the pooler."""
        psql = ("psql", "--username", USER, "--dbname", DATABASE, "--no-align", "--tuples-only")
        return self.compose("exec", "--no-TTY", "db", *psql, "--command", statement).strip()

    def healthy(self) -> bool:
        lines = self.compose("ps", "--format", "json").splitlines()
        return "healthy" in [json.loads(line)["Health"] for line in lines]


@contextmanager
def running(folder: Path, project: str) -> Iterator[Pooler]:
    """Both started, and removed at the end."""
    name = image()
    if name == STAND_IN and docker("image", "inspect", STAND_IN, check=False).returncode:
        build(folder)
    (folder / "beside.yaml").write_text(BESIDE)
    quoted = PASSWORD.replace('"', '""')
    (folder / "userlist").write_text(f'"{USER}" "{quoted}"\n')
    (folder / "userlist").chmod(0o644)  # bound in as it is, where Swarm gives it to its user
    values = {
        **{"PGBOUNCER_IMAGE": name, "POSTGRES": POSTGRES, "USERLIST_SECRET": "userlist"},
        **{"POOL_SIZE": str(POOL_SIZE), "MAX_CONNECTIONS": str(MAX_CONNECTIONS), "RELEASE": "1"},
        **{"DATABASE_HOST": "db", "DATABASE_PORT": "5432", "DATABASE": DATABASE},
        **{"DATABASE_CA": "/etc/ca.pem", "CA_CONFIG": "ca"},
        **{"SQL_USER": USER, "POSTGRES_PASSWORD": PASSWORD},
    }
    pooler = Pooler(folder, project, values)
    try:
        pooler.compose("up", "--detach", "--quiet-pull")
        eventually(pooler.healthy, 20, "the pooler is healthy")
        yield pooler
    finally:
        pooler.compose("down", "--volumes", "--timeout", "1", check=False)
