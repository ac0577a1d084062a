"""What the search for a cause asks of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # each task imports this module, and needs none of these to say what it is
    from collections.abc import Sequence

    from djup.host.process import Result
    from djup.settings.settings import Settings


class Asked(Protocol):
    """A stack whose services may have failed: how it is set up, and what it says of itself."""

    @property
    def settings(self) -> Settings:
        """The settings that it was made of; a changed `.env` is another stack."""

    @property
    def services(self) -> Sequence[str]:
        """The names of its services, sorted."""

    def superuser(self, script: str) -> Result:
        """Run a psql script past every password, captured.

        The script finds SQL_USER, SQL_PASSWORD and SQL_DATABASE of `.env` in its environment.
        """

    def logs_in(self) -> bool:
        """Whether the database lets in who `.env` names, with the password from there."""

    def finds_database(self) -> bool:
        """Whether the name of a database that runs leads a web that runs to it."""

    def is_web_itself(self, host: str) -> bool:
        """Whether this host is, to the web, the web alone, rather than this machine."""

    def web_log(self) -> str | None:
        """The end of a running web's log; None where none runs."""
