"""A PostgreSQL elsewhere: a container outside every stack, that takes encrypted connections alone.

Web containers and this machine alike reach it at the address that the engine's bridge has here.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import checkout
from stacks import docker, eventually

from djup.host.background import identity
from djup.postgres import local_server

IMAGE = "postgres:18-alpine"
USER, PASSWORD, DATABASE = "ann", "it's 100% @home/£", "shop elsewhere"
AUTHORITY = "authorities/ca.pem"
FIRST_PORT, LAST_PORT = 8300, 8349
PORTS_OF_ONE = 10  # process that runs tests
# The key has to be the server's own, which a file of this machine is not.
START = """
echo "$CERTIFICATE" >/tmp/certificate.pem
echo "$KEY" >/tmp/key.pem; chmod 600 /tmp/key.pem
printf 'local all all trust\\nhostssl all all all scram-sha-256\\n' >/tmp/hba.conf
chown postgres /tmp/*.pem /tmp/hba.conf
exec docker-entrypoint.sh postgres -c fsync=off -c hba_file=/tmp/hba.conf -c ssl=on \\
  -c ssl_cert_file=/tmp/certificate.pem -c ssl_key_file=/tmp/key.pem
"""
# Debian's; the oldest first.
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("1[4-6]/bin"))
ACCESS = b"local all all trust\nhostssl all all all scram-sha-256\n"
REPLACE = 'echo "$KEY" >/tmp/key.pem; echo "$CERTIFICATE" >/tmp/certificate.pem; kill -HUP 1'


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, in the folder of its files."""

    folder: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Authority":
        folder.mkdir()
        names = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={folder.name}")
        _request(folder, *names)
        return cls(folder)

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def issue(self, name: str) -> dict[str, str]:
        """A key and a certificate for a server of this name, such as IP:192.0.2.1."""
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", f"subjectAltName={name}")
        names = ("-keyout", "key.pem", "-out", "server.pem", "-subj", "/CN=server")
        _request(self.folder, *signed, *names)
        files = {"KEY": "key.pem", "CERTIFICATE": "server.pem"}
        return {key: (self.folder / file).read_text() for key, file in files.items()}


def _request(folder: Path, *arguments: str) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    argv = ["openssl", "req", "-x509", *curve, *arguments]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True)
class Elsewhere:
    """The server: where it is, and the authority that vouches for it."""

    container: str
    host: str
    port: int
    authority: Authority

    def settings(
        self, prefix: str = "", *, user: str = USER, database: str = DATABASE
    ) -> dict[str, str]:
        """What `.env` says of it; its authority is project/AUTHORITY in the checkout."""
        values = {
            "HOST": self.host,
            "PORT": str(self.port),
            "USER": user,
            "PASSWORD": "'" + PASSWORD.replace("'", r"\'") + "'",
            "DATABASE": database,
            "SSLMODE": "verify-full",
            "SSLROOTCERT": AUTHORITY,
        }
        return {f"{prefix}SQL_{key}": value for key, value in values.items()}

    def shows(self, name: str) -> None:
        """Show a certificate for this name from now on."""
        given = self.authority.issue(name)
        words = [word for key, value in given.items() for word in ("--env", f"{key}={value}")]
        docker("exec", *words, self.container, "sh", "-c", REPLACE)

    def sql(self, statement: str, database: str = DATABASE) -> str:
        """The answer, asked from within as its superuser."""
        argv = ("psql", "-U", USER, "-d", database, "-Atc", statement)
        return docker("exec", self.container, *argv).stdout.strip()


@contextmanager
def elsewhere(folder: Path) -> Iterator[Elsewhere]:
    """It runs; in `folder` are the files of its authority."""
    host = bridge_address()
    authority, port = Authority.made_in(folder / "authority"), _free_port(host)
    words = {
        **authority.issue(f"IP:{host}"),
        "POSTGRES_USER": USER,
        "POSTGRES_PASSWORD": PASSWORD,
        "POSTGRES_DB": DATABASE,
    }
    given = [word for key, value in words.items() for word in ("--env", f"{key}={value}")]
    flags = ("--rm", "--detach", "--tmpfs", "/var/lib/postgresql", "--entrypoint", "sh")
    argv = (*flags, "--publish", f"{host}:{port}:5432", *given, IMAGE, "-euc", START)
    server = Elsewhere(docker("run", *argv).stdout.strip(), host, port, authority)
    try:
        ready = ("exec", server.container, "pg_isready", "--host", "127.0.0.1", "--quiet")
        eventually(lambda: docker(*ready, check=False).returncode == 0, 30, "it is ready")
        yield server
    finally:
        docker("rm", "--force", "--volumes", server.container)


class Older(Elsewhere):
    """A process of this machine, for PostgreSQL versions that there is no image of; `container` is
    the folder of its socket."""

    def shows(self, name: str) -> None:
        raise NotImplementedError

    def sql(self, statement: str, database: str = DATABASE) -> str:
        """The answer, asked past every password."""
        whom = ("-h", self.container, "-p", str(self.port), "-U", USER, "-d", database)
        argv = [PROGRAMS[0] / "psql", *whom, "-v", "ON_ERROR_STOP=1", "-qAtc", statement]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def older(folder: Path) -> Iterator[Elsewhere]:
    """The oldest of Debian's PostgreSQL that is before 17, with TLS; in `folder` are the files of
    its authority."""
    who = local_server.account()
    host = bridge_address()
    authority, port = Authority.made_in(folder / "authority"), _free_port(host)
    home = Path(tempfile.mkdtemp(prefix="older-", dir="/tmp"))
    run = partial(subprocess.run, cwd=home, check=True, capture_output=True, **identity(who))
    try:
        files = {"ca.pem": authority.certificate, **authority.issue(f"IP:{host}")}
        for name, text in files.items():
            (home / name).write_text(text)
            (home / name).chmod(0o600)
        if who:
            for path in (home, *home.iterdir()):
                os.chown(path, who.uid, who.gid)
        run([PROGRAMS[0] / "initdb", "-D", "data", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8"])
        run(["tee", "data/pg_hba.conf"], input=ACCESS)
        with subprocess.Popen(_command(home, host, port), cwd=home, **identity(who)) as server:
            found = Older(str(home), host, port, authority)
            ready = [PROGRAMS[0] / "pg_isready", "-q", "-h", home, "-p", str(port)]
            eventually(lambda: subprocess.run(ready).returncode == 0, 30, "it is ready")
            try:
                quoted = PASSWORD.replace("'", "''")
                found.sql(f"alter role {USER} password '{quoted}'", "postgres")
                found.sql(f'create database "{DATABASE}"', "postgres")
                yield found
            finally:
                server.send_signal(signal.SIGINT)
    finally:
        shutil.rmtree(home)


def _command(home: Path, host: str, port: int) -> list[str]:
    files = (f"ssl_cert_file={home}/CERTIFICATE", f"ssl_key_file={home}/KEY")
    options = [word for pair in (*files, "ssl=on", "fsync=off") for word in ("-c", pair)]
    argv = [
        str(PROGRAMS[0] / "postgres"),
        "-D",
        "data",
        "-h",
        host,
        "-p",
        str(port),
        "-k",
        str(home),
    ]
    return [*argv, *options]


def bridge_address() -> str:
    """Where this machine is reached from containers; without an engine, by itself alone."""
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    argv = ("network", "inspect", "bridge", "--format", gateway)
    return docker(*argv, check=False).stdout.strip() or "127.0.0.1"


def _free_port(host: str) -> int:
    ports = range(FIRST_PORT, LAST_PORT + 1)
    begin = checkout.worker() * PORTS_OF_ONE % len(ports)
    for port in (*ports[begin:], *ports[:begin]):
        with socket.socket() as probe:
            if probe.connect_ex((host, port)):
                return port
    raise AssertionError("no port is free")
