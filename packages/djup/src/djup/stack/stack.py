"""What every runtime can do with a checkout's services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from djup.stack.causes.asked import Asked

if TYPE_CHECKING:  # each task imports this module, and needs none of these to say what it is
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from djup.host.process import Result
    from djup.host.volumes import Volume
    from djup.postgres.client import Client
    from djup.postgres.remote import Programs
    from djup.stack.status import Status
    from djup.stack.volume_clusters import Held


class Stack(Asked, Protocol):
    """The services of a checkout: `web`, `db` unless the database is elsewhere, and those that
    the project has besides."""

    def with_values(self, values: Mapping[str, str]) -> Stack:
        """The stack as it would be with these values in `.env`, checked."""

    def up(self) -> None:
        """Start what is not running, wait until the page answers and is migrated."""

    def down(self) -> None:
        """Stop the services; all data stay."""

    def build(self, use_cache: bool) -> None:
        """Build, or install, what the web runs in."""

    def manage(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """Run `manage.py` beside the database, with these `variables` besides; `ChildFailed` with
        its exit code."""

    def ask_manage(self, arguments: Sequence[str]) -> Result:
        """What `manage.py` answers, captured; it needs no database for it."""

    def migrate(self, arguments: Sequence[str]) -> None:
        """Run `manage.py migrate`; `ChildFailed` with its exit code, and where a migration failed
        the whole traceback in `migrate.LOG`."""

    def shell(self, service: str, arguments: Sequence[str]) -> None:
        """A shell where `service` runs; `ChildFailed` with its exit code."""

    def psql(self, arguments: Sequence[str]) -> None:
        """psql on the project's database as its own user; `ChildFailed` with its exit code."""

    def compose(self, arguments: Sequence[str]) -> None:
        """`docker compose` itself; a `Problem` where there is none."""

    def logs(self, service: str, follow: bool, lines: str) -> None:
        """The last `lines` of the output of each service, or of the one named."""

    def status(self) -> Status:
        """What runs, in which state, and whether the page is ready."""

    def start_database(self) -> None:
        """Have the database run, without the web, and wait until its superuser gets in."""

    def client(self) -> AbstractContextManager[Client]:
        """PostgreSQL's programs, which find the project's database; it runs meanwhile."""

    def remote_programs(self) -> Programs:
        """PostgreSQL's programs for a database elsewhere: where they run, and whether they can."""

    def can_be_stopped(self) -> bool:
        """Whether `down` would get anywhere: an engine that does not answer stops nothing."""

    def web_uid(self) -> int | None:
        """The user that the web runs as; None where that is whoever starts it."""

    def fixed_version(self) -> str:
        """The major version of PostgreSQL; '' where POSTGRES_IMAGE chooses it."""

    def clusters(self) -> Held | None:
        """The clusters that an upgrade has put side by side; None where there is no volume."""

    def is_served(self) -> bool:
        """Whether WEB_PORT is this stack's web's."""

    def has_data(self) -> bool:
        """Whether there is anything for a database to be in."""

    def mail_folder(self) -> Path | None:
        """The folder that mails are written into without EMAIL_URL; None where they are not."""

    def mail_page(self) -> str:
        """The URL of the page that shows mails; '' where there is none."""

    def volumes(self) -> list[Volume]:
        """Where the data are."""

    def inventory(self) -> list[tuple[str, str, str]]:
        """All that is this project's alone: kind, name, and of what holds data the size."""

    def remove_all(self) -> None:
        """Remove all that the inventory lists."""

    def data_that_stay(self) -> list[str]:
        """What this checkout has besides: on the other runtime, or that no service uses now."""
