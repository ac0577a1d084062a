"""A database elsewhere, such as a managed one: what leads libpq there, and the programs that do.

A Stack chooses where they run: in a container of POSTGRES_IMAGE or, where no engine answers, from
PATH. The server from the wheel has some as well, but they know no TLS.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from djup.docker import containers, engine, resources
from djup.docker.containers import Container
from djup.host import process
from djup.host.process import ChildFailed
from djup.postgres import libpq, local_server
from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal.task import this_task

CA = "/tmp/ca.pem"  # in the container
CLIENT = "client"  # the service that those containers are called
PEM = "CERTIFICATE-----"
REMOVE = ("docker", "rm", "--force", "--volumes")  # those that the image asks for, and are empty
DOCKER_FAILED = 125  # what `docker run` ends with where it could not run anything


def variables(settings: Settings, ca: str = "") -> dict[str, str]:
    """libpq's, with the password; `ca` is where the certificates are, if not where they were."""
    values, root = settings.values, settings.values["SQL_SSLROOTCERT"]
    return libpq.variables(
        host=values["SQL_HOST"],
        port=values["SQL_PORT"],
        user=values["SQL_USER"],
        password=values["SQL_PASSWORD"],
        database=values["SQL_DATABASE"],
        sslmode=values["SQL_SSLMODE"],
        root_certificate=(ca or str(settings.ca_file)) if settings.ca_file else root,
    )


def missing_certificates(settings: Settings) -> Problem | None:
    """The problem, if SQL_SSLROOTCERT names no file of certificates."""
    file = settings.ca_file
    if file is None or (file.is_file() and PEM in file.read_text(errors="replace")):
        return None
    return problem("DB14", name=settings.values["SQL_SSLROOTCERT"])


def refuse_missing_certificates(settings: Settings) -> None:
    """Raise if SQL_SSLROOTCERT does not name a file of certificates."""
    if cause := missing_certificates(settings):
        raise cause


@dataclass(frozen=True)
class InContainer:
    """The programs in a container of POSTGRES_IMAGE; `network` are the flags that have it reach
    what the web reaches, where that is not on the stack's own network."""

    settings: Settings
    network: tuple[str, ...] = ()

    def are_here(self) -> bool:
        """Whether they can be had without a download."""
        return self._image in resources.inspect(self._image)

    def psql(self, arguments: Sequence[str]) -> None:
        """psql there, on our own terminal."""
        refuse_missing_certificates(self.settings)
        given = variables(self.settings, CA)
        words = [*engine.terminal_words(), *engine.env_words(given)]
        argv = [*self._run(), *words, self._image, "psql"]
        code = process.attach([*argv, *arguments], env=os.environ | given)
        if code == DOCKER_FAILED:
            raise engine.diagnose("docker run", "the reason is above")
        if code:
            raise ChildFailed(code)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """PostgreSQL's programs in a container that lives as long as this does."""
        settings = self.settings
        refuse_missing_certificates(settings)
        for name in killed(containers.all_containers(settings)):
            process.clean_up([*REMOVE, name])
        name = f"{settings.project}-{CLIENT}-{os.getpid()}"
        try:
            self._start(name)
            given = variables(settings, CA)
            client = Client(settings.project, name, "", given, data="", compression="zstd:2")
            yield _of_its_version(client)
        finally:
            process.clean_up([*REMOVE, name])

    @property
    def _image(self) -> str:
        return self.settings.values["POSTGRES_IMAGE"]

    def _start(self, name: str) -> None:
        service = ["--label", f"{resources.SERVICE}={CLIENT}", "--name", name]
        argv = [*self._run(), *service, "--detach", "--init", self._image, "sleep", "infinity"]
        with Path(os.devnull).open("w") as nowhere:  # for the container's number
            code = process.attach(argv, out=nowhere)
        process.stop_if_interrupted(code)
        if code:
            raise engine.diagnose("docker run", "the reason is above")

    def _run(self) -> list[str]:
        """`docker run` as a one-off container of this project, which reaches what the web does."""
        flags = [*containers.one_off(self.settings), *self.network]
        if self.settings.ca_file:
            flags += ["--mount", resources.bind(str(self.settings.ca_file), CA)]
        return ["docker", "run", "--rm", *flags]


@dataclass(frozen=True)
class OnPath:
    """The programs of this machine that PATH finds."""

    settings: Settings

    def are_here(self) -> bool:
        """Whether they can be had without a download: one that is missing is a problem of its
        own."""
        return True

    def psql(self, arguments: Sequence[str]) -> None:
        """psql there, on our own terminal."""
        refuse_missing_certificates(self.settings)
        argv = [_on_path("psql"), *arguments]
        environment = local_server.clean_environment() | variables(self.settings)
        process.attach_or_fail(argv, env=environment)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """PostgreSQL's programs, as they are found."""
        refuse_missing_certificates(self.settings)
        _on_path("pg_dump")
        given = variables(self.settings)
        yield _of_its_version(
            Client(self.settings.project, "", "", given, data="", compression="gzip")
        )


Programs = InContainer | OnPath


def _of_its_version(client: Client) -> Client:
    return client if this_task.dry else client.of_its_version()


def killed(containers: Iterable[Container]) -> list[str]:
    """List the client containers of tasks that were killed: each is named by its task's process."""
    import psutil  # slow to import

    names = [container.name for container in containers if container.service == CLIENT]
    return [name for name in names if not psutil.pid_exists(int(name.rpartition("-")[2]))]


def _on_path(program: str) -> str:
    if shutil.which(program):
        return program
    raise problem("EMB06", program=program)
