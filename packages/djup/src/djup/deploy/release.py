"""A release: one version of the stack, as data."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from djup import ROOT
from djup.deploy.production import Production, names_of
from djup.host import temporary

COMPOSE = ROOT / "compose"
WAY = ("HOST", "PORT", "SSLMODE", "SSLROOTCERT")  # to a database: SQL_HOST, DATABASE_HOST, ...
SCALE = ("WEB_REPLICAS",)  # what may change without another version


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

    @classmethod
    def of(
        cls, production: Production, image: str, commit: str, repository: str, number: int
    ) -> "Release":
        """The release that production as it is asked for would be."""
        return cls(
            number=number,
            before=0,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            by=f"{os.environ.get('USER', 'somebody')}@{socket.gethostname()}",
            commit=commit,
            files={name: (COMPOSE / name).read_text() for name in production.files},
            values={**production.values, "WEB_IMAGE": image, "REPOSITORY": repository},
        )

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
    def names(self) -> list[str]:
        """Of the site, as they are typed: `*.example.org` too."""
        return names_of(self.values["DOMAIN"])

    @property
    def url(self) -> str:
        """Where the site is served."""
        return f"https://{self.names[0]}{self.values['HTTPS_SUFFIX']}/"

    def filled_in(self) -> dict[str, str]:
        """The variables of the compose files."""
        return {**self.values, "RELEASE": str(self.number), "BEFORE": str(self.before)}

    def with_values(self, **values: str) -> "Release":
        """Give the same release with other values."""
        return Release(**{**asdict(self), "values": {**self.values, **values}})

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


def _version(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in SCALE}
