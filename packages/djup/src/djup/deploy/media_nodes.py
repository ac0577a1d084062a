"""Uploads in a volume, where the web may run on several nodes: each would have files of its own."""

import json

from djup.checkout import web_env
from djup.deploy import media
from djup.deploy.swarm import placement, swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Node, Swarm, proxy_label
from djup.docker import engine
from djup.host import process, uploads
from djup.problems import problem
from djup.settings.layout import layout
from djup.terminal.console import few

SECONDS = 60
MOUNT = f"target: {uploads.MEDIA}\n"


def refuse_apart(release: Release, swarm: Swarm) -> None:
    """Raise where files that one replica stores another one, or the proxy, would not have."""
    address = release.values.get("MEDIA", "")
    if len(swarm.nodes) == 1 or address not in ("", media.VOLUME) or not layout().media:
        return
    proxies = swarm.labelled(proxy_label(release.stack))
    web = _nodes_of_writers(release, swarm)
    if not web or _is_together(web, proxies):  # or none has the volume
        return
    fields = _fields(release.image)
    if address == media.VOLUME:
        label = proxy_label(release.stack)
        command = engine.as_typed(f"node update --label-rm {label} {proxies[-1].name}")
        raise problem("DEP51.proxies", nodes=_names(proxies), command=command)
    if fields:
        raise problem("DEP51", fields=few(fields), nodes=_names(web), proxies=_names(proxies))


def _nodes_of_writers(release: Release, swarm: Swarm) -> list[Node]:
    """The nodes that the web may run on, and whatever else has the volume."""
    services = swarm_stack.rendered(release)
    writers = [text for name, text in services.items() if name != "proxy" and MOUNT in text]
    found = {n.id: n for text in writers for n in placement.nodes_for(text, swarm.nodes)}
    return [*found.values()]


def _is_together(web: list[Node], proxies: list[Node]) -> bool:
    """Whether the web runs on one node alone, and that has the only proxy."""
    return len(web) == 1 and [node.id for node in web] == [node.id for node in proxies]


def _names(nodes: list[Node]) -> str:
    return few([node.name for node in nodes])


def _fields(image: str) -> list[str]:
    """The fields of the project that store files in the volume, as its image says; none where that
    cannot be told, as of a project whose settings need what only a deployed one has."""
    building = {"DJUP": "build", "DEBUG": "1", "PRODUCTION": "1", **web_env.for_build(layout())}
    root = {"MEDIA_ROOT": media.NOWHERE}
    words = engine.env_words(map("=".join, {**building, **root}.items()))
    flags = ("--rm", "--network", "none", "--read-only", "--entrypoint", "python")
    command = ("docker", "run", *flags, *words, image, "manage.py", "uploads")
    done = process.run(command, timeout=SECONDS)
    try:
        found = json.loads(done.out) if not done.code else []
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []
