"""A PostgreSQL elsewhere: a container outside every stack, that takes encrypted connections alone.

Web containers and this machine alike reach it at the address that the engine's bridge has here.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stacks import docker, eventually

IMAGE = "postgres:18-alpine"
USER, PASSWORD, DATABASE = "ann", "it's 100% @home/£", "shop elsewhere"
AUTHORITY = "authorities/ca.pem"
FIRST_PORT, LAST_PORT = 8300, 8349
# The key has to be the server's own, which a file of this machine is not.
START = """
echo "$CERTIFICATE" >/tmp/certificate.pem
echo "$KEY" >/tmp/key.pem; chmod 600 /tmp/key.pem
printf 'local all all trust\\nhostssl all all all scram-sha-256\\n' >/tmp/hba.conf
chown postgres /tmp/*.pem /tmp/hba.conf
exec docker-entrypoint.sh postgres -c fsync=off -c hba_file=/tmp/hba.conf -c ssl=on \\
  -c ssl_cert_file=/tmp/certificate.pem -c ssl_key_file=/tmp/key.pem
"""
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
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    host = docker("network", "inspect", "bridge", "--format", gateway).stdout.strip()
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


def _free_port(host: str) -> int:
    for port in range(FIRST_PORT, LAST_PORT + 1):
        with socket.socket() as probe:
            if probe.connect_ex((host, port)):
                return port
    raise AssertionError("no port is free")
