"""What `inv status` tells, on any runtime."""

from collections.abc import Sequence
from dataclasses import dataclass

from djup.checkout import env
from djup.host.volumes import Volume
from djup.settings.settings import Settings
from djup.stack.causes.readiness import Readiness
from djup.terminal import console

NOT_ALLOWED = "the page answers 400, because ALLOWED_HOSTS of the running web lacks 127.0.0.1"


@dataclass(frozen=True)
class ServiceStatus:
    """A service: its state in one word, in the runtime's own words, and whether it is stale."""

    service: str
    state: str
    detail: str
    image: str


@dataclass(frozen=True)
class Status:
    """The whole stack; `reason` says why it is not ready, '' when it is.

    `unapplied` are migrations that the database lacks, `unknown` those that the code lacks,
    and `fitting` is the newest snapshot without these ('' if there is none, or until somebody
    looks); `unmade` are apps whose models have changes that no migration makes;
    `env_missing` are keys of .env.example that .env lacks; `edited` says that .env or another file
    was edited after the start; `database` is where one elsewhere is, '' for the stack's own;
    `mail` is the URL of the page that shows mails, '' without one.
    """

    project: str
    runtime: str
    url: str
    ready: bool
    reason: str
    unapplied: list[str]
    unknown: list[str]
    fitting: str
    env_missing: list[str]
    edited: bool
    services: list[ServiceStatus]
    volumes: list[Volume]
    database: str = ""
    unmade: Sequence[str] = ()
    mail: str = ""

    @classmethod
    def assemble(
        cls,
        settings: Settings,
        answer: Readiness,
        edited: bool,
        services: list[ServiceStatus],
        volumes: list[Volume],
    ) -> "Status":
        """Put together from what a runtime and the web itself say."""
        return cls(
            settings.project,
            settings.runtime,
            settings.url,
            answer.ready and answer.host_allowed,
            answer.reason or ("" if answer.host_allowed else NOT_ALLOWED),
            [] if answer.conflicts else list(answer.unapplied),  # of which none can be applied
            list(answer.unknown),
            "",
            list(env.missing_keys()),
            edited,
            services,
            volumes,
            settings.address,
            answer.unmade,
        )


def as_text(status: Status) -> str:
    """For the person at the terminal."""
    state = "ready" if status.ready else f"not ready: {status.reason}"
    lines = [
        f"{status.project} on {status.runtime}, {status.url}  {state}",
        *([f"mail: {status.mail}"] if status.mail else []),
        *_remarks(status),
        "",
        _services(status.services),
        "",
        _data(status),
    ]
    return "\n".join(lines)


def _data(status: Status) -> str:
    elsewhere = [f"the database is remote, at {status.database}"] if status.database else []
    if status.volumes:
        rows = [(v.name, v.size) for v in status.volumes]
        return "\n\n".join((*elsewhere, console.table(("VOLUME", "SIZE"), rows)))
    return "".join(elsewhere) or "no volume yet; inv up creates it"


def _services(services: list[ServiceStatus]) -> str:
    if not any(service.image for service in services):  # the embedded runtime has none
        return console.table(("SERVICE", "STATE"), [(s.service, s.detail) for s in services])
    rows = [(s.service, s.detail, s.image) for s in services]
    return console.table(("SERVICE", "STATE", "IMAGE"), rows)


def _remarks(status: Status) -> list[str]:
    remarks = {
        "to apply (inv migrate)": status.unapplied,
        "applied, but not in this branch (inv doctor)": status.unknown,
        "models without a migration (inv makemigrations -- APP)": status.unmade,
        "missing in .env, so the default applies (inv doctor --fix)": status.env_missing,
    }
    sick = [service.service for service in status.services if "(unhealthy)" in service.detail]
    remarks["unhealthy (inv doctor shows the output of its health check)"] = sick
    if status.ready:
        remarks["not running (inv up starts it)"] = [
            one.service for one in status.services if _is_down(one)
        ]
    lines = [f"{what}: {', '.join(names)}" for what, names in remarks.items() if names]
    if status.fitting:
        lines.append(f"a snapshot that fits this branch: inv db.restore {status.fitting}")
    if status.edited:
        lines.append("edited after the start; run: inv up")
    return lines if status.ready else [*lines, _what_to_type(status)]


def _is_down(service: ServiceStatus) -> bool:
    """Whether a service has ended, and not because its work is done."""
    return service.state != "running" and not service.detail.startswith("Exited (0)")


def _what_to_type(status: Status) -> str:
    if any(service.state == "running" for service in status.services):
        return "inv doctor reports why, and how to fix it"
    return "run: inv up"
