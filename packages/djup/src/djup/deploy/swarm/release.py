"""A release: one version of the stack, as data."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from djup.host import temporary

WAY = ("HOST", "PORT", "SSLMODE", "SSLROOTCERT")  # to a database: SQL_HOST, DATABASE_HOST, ...
SCALE = ("WEB_REPLICAS", "WORKER_REPLICAS")  # what may change without another version
OFF = "off"  # of TLS: a server before the proxy has ended it
SHARE = 4  # a rolling update replaces one of so many replicas at the same time, rounded up
SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmgt])?i?b?", re.IGNORECASE)
CA = "/etc/ca.pem"  # in the containers: the certificates that a managed database is checked by


@dataclass(frozen=True)
class Release:
    """A version of the stack: its number and that of the one before it (0: none), when (ISO 8601)
    and by whom it was made, from which commit, its compose files by name, the values that they are
    filled in with."""

    number: int
    before: int
    created: str
    by: str
    commit: str
    files: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.values["STACK"]

    @property
    def image(self) -> str:
        """The web's image."""
        return self.values["WEB_IMAGE"]

    @property
    def replicas(self) -> int:
        """How many replicas of the web there are to be."""
        return int(self.values["WEB_REPLICAS"])

    @property
    def has_own_database(self) -> bool:
        """Whether the stack runs PostgreSQL itself."""
        return "prod/db.yaml" in self.files

    @property
    def has_worker(self) -> bool:
        """Whether the stack runs jobs."""
        return "prod/worker.yaml" in self.files

    @property
    def names(self) -> list[str]:
        """Of the site, as they are typed: `*.example.org` too."""
        return split_list(self.values["DOMAIN"])

    @property
    def url(self) -> str:
        """Where the site is served."""
        return f"https://{self.names[0]}{self.values['HTTPS_SUFFIX']}/"

    @property
    def is_by_http(self) -> bool:
        """Whether visitors come by a server that ends TLS, and speaks HTTP to the proxy."""
        return self.values["TLS"] == OFF

    def filled_in(self) -> dict[str, str]:
        """The variables of the compose files."""
        at_once = {key.replace("REPLICAS", "AT_ONCE"): str(self.at_once(key)) for key in SCALE}
        number, before = str(self.number), str(self.before)
        return {**self.values, **at_once, "RELEASE": number, "BEFORE": before}

    def at_once(self, replicas: str) -> int:
        """How many containers of a service are replaced at the same time, by the key of how many
        there are, which releases of earlier versions may lack."""
        return math.ceil(int(self.values.get(replicas, "1")) / SHARE)

    def with_values(self, **values: str) -> "Release":
        """Give the same release with other values."""
        return Release(**{**asdict(self), "values": {**self.values, **values}})

    def at_scale_of(self, other: "Release") -> "Release":
        """Give the same release with as many replicas as another one has."""
        return self.with_values(**{key: other.values[key] for key in SCALE if key in other.values})

    def is_like(self, other: "Release") -> bool:
        """Whether both are one version, at whatever scale."""
        return self.files == other.files and _version(self.values) == _version(other.values)

    @contextmanager
    def written_out(self) -> Iterator[list[str]]:
        """The compose files as paths, for as long as this lasts; nothing in them is secret."""
        with temporary.folder() as folder:
            paths = [Path(folder, name.replace("/", "-")) for name in self.files]
            for path, text in zip(paths, self.files.values(), strict=True):
                path.write_text(text)
            yield [str(path) for path in paths]


def bytes_of(size: str) -> int:
    """The bytes of a size as docker reads it: 512M, 512MB and 512MiB are the same."""
    found = SIZE.fullmatch(size)
    assert found, size
    return int(float(found[1]) * 1024 ** " kmgt".index((found[2] or " ").lower()))


def split_list(text: str) -> list[str]:
    """The words of a value of `.env` that holds several, separated by commas or spaces."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def _version(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in SCALE}
