"""What `inv status` tells, on any runtime."""

from dataclasses import dataclass

from ops import console
from ops.env import Settings
from ops.readiness import Readiness


@dataclass(frozen=True)
class ServiceStatus:
    """A service: its state in one word, in the runtime's own words, and whether it is stale."""

    service: str
    state: str
    detail: str
    image: str


@dataclass(frozen=True)
class Status:
    """The whole stack; `reason` says why it is not ready, '' when it is."""

    project: str
    runtime: str
    url: str
    ready: bool
    reason: str
    unapplied: list[str]
    services: list[ServiceStatus]

    @classmethod
    def of(cls, settings: Settings, answer: Readiness, services: list[ServiceStatus]) -> "Status":
        """Put together from what a runtime and the web itself say."""
        return cls(
            settings.project,
            settings.runtime,
            settings.url,
            answer.ready,
            answer.reason,
            list(answer.unapplied),
            services,
        )


def as_text(status: Status) -> str:
    """For the person at the terminal."""
    rows = [(s.service, s.detail, s.image) for s in status.services]
    state = "ready" if status.ready else f"not ready: {status.reason}"
    lines = [
        f"{status.project} on {status.runtime}, {status.url}  {state}",
        *([f"unapplied migrations: {', '.join(status.unapplied)}"] if status.unapplied else []),
        *([] if status.ready else [_what_to_type(status)]),
        "",
        console.table(("SERVICE", "STATE", "IMAGE"), rows),
    ]
    return "\n".join(lines)


def _what_to_type(status: Status) -> str:
    if all(service.state == "running" for service in status.services):
        return "type: inv logs --service web"
    return "type: inv up"
