"""`inv deploy.maintenance`: a page in the place of the site, for all but some addresses.

At each request the proxy looks whether the page is there, in the volume that it shares with the
web: so no container is restarted, and a deploy leaves it as it is. The Swarm keeps a note.
"""

import base64
import html
import ipaddress
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from djup.deploy.production import digest
from djup.deploy.swarm import jobs, objects
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release, split_list
from djup.deploy.swarm.swarm import proxy_label
from djup.deploy.target import find_target
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.settings.settings import Settings
from djup.terminal import console
from djup.terminal.task import this_task

ROLE = "maintenance"
HOME = "/srv/static/.maintenance"  # as compose/caddy/Caddyfile has it
DEFAULT = "The site is being maintained. Try again in a few minutes."
PAGE = """<!doctype html><meta charset="utf-8"><title>Maintenance</title><p>{message}"""
PROGRAM = Path(__file__).with_name("maintenance_files.py")


@dataclass(frozen=True)
class Notice:
    """What visitors are told, who sees the site all the same, since when (ISO 8601)."""

    message: str
    allowed: tuple[str, ...]
    since: str


def switch(
    settings: Settings, context: str, *, local: bool, state: str, message: str, allow: str
) -> None:
    """Show the page from now on, or the site again."""
    if state not in ("on", "off"):
        raise problem("DEP54", state=repr(state))
    allowed = _addresses(allow)
    target = find_target(settings, context, local=local)
    with one_at_a_time("deploy.maintenance"), one_deploy(target.stack):
        release = target.release()
        _refuse_other_proxy(release)
        if this_task.dry:
            console.say(f"would turn maintenance {state} for {release.url}")
            return
        if state == "on":
            since = datetime.now(UTC).isoformat(timespec="seconds")
            _turn_on(release, Notice(message or DEFAULT, allowed, since))
        else:
            turn_off(release)
    console.say(f"maintenance is {state} for {release.url}")


def _addresses(allow: str) -> tuple[str, ...]:
    """Those of a list, each in the way that the proxy spells it."""
    found = []
    for word in split_list(allow):
        try:
            found.append(str(ipaddress.ip_address(word)))
        except ValueError:
            raise problem("DEP54.address", address=repr(word)) from None
    return tuple(found)


def _refuse_other_proxy(release: Release) -> None:
    """Raise where the proxy has a Caddyfile that knows of no such page."""
    (entry,) = objects.read("config", [release.values["CADDYFILE_CONFIG"]])
    if HOME not in base64.b64decode(entry["Spec"]["Data"]).decode():
        raise problem("DEP54.proxy", number=release.number)


def _turn_on(release: Release, notice: Notice) -> None:
    _write(release, PAGE.format(message=html.escape(notice.message)), *notice.allowed)
    before = _notes(release.stack)
    text = json.dumps(asdict(notice))
    name = f"{release.stack}_{ROLE}_{digest(text)}"
    objects.create("config", release.stack, name, ROLE, text)
    objects.remove("config", before)


def turn_off(release: Release) -> None:
    """Show the site again, on every node that has a proxy."""
    _write(release)
    objects.remove("config", _notes(release.stack))


def _write(release: Release, *arguments: str) -> None:
    """Have each node with a proxy write the page, or without one remove it."""
    command = ["python", "-I", "-c", PROGRAM.read_text(encoding="utf-8"), HOME, *arguments]
    done = jobs.on_each_proxy(release, proxy_label(release.stack), command)
    if not done.good:
        raise problem("DEP54.nodes", error=done.error)


def noticed(stack: str) -> Notice | None:
    """What visitors are told at the moment; None while they see the site."""
    entries = objects.read("config", _notes(stack))
    found = (json.loads(base64.b64decode(entry["Spec"]["Data"])) for entry in entries)
    notices = [Notice(one["message"], tuple(one["allowed"]), one["since"]) for one in found]
    return max(notices, key=lambda notice: notice.since, default=None)


def _notes(stack: str) -> list[str]:
    return objects.names("config", stack, ROLE)


def reminder(stack: str) -> list[str]:
    """The line of a status, while it is on."""
    notice = noticed(stack)
    if not notice:
        return []
    seen_by = f", but not {', '.join(notice.allowed)}" if notice.allowed else ""
    return [
        f"visitors{seen_by} see a maintenance page, since {console.age(notice.since)}: "
        "inv deploy.maintenance off"
    ]
