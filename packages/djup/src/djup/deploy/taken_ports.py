"""Ports of a node that the proxy of another stack on the same Swarm has."""

from typing import Any

from djup.deploy import edge
from djup.deploy.production import EDGE_FILE, EDGE_STACK, HTTP_FILE, PORTS, Production
from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.swarm.objects import NAMESPACE
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.docker import engine
from djup.problems import problem


def refuse_taken(wanted: Production | Release, reached: Swarm) -> None:
    """Raise before anything is built where the proxy could start on no node that it is for. The
    edge is in nobody's way: a site behind it needs no ports, and the last one ends it."""
    by_http = HTTP_FILE in wanted.files  # it publishes one port alone
    ports = {int(wanted.values[key]) for key in (PORTS[:1] if by_http else PORTS)}
    published = _published()
    if EDGE_FILE in wanted.files and EDGE_STACK in published:
        return
    passed = {wanted.stack, *([EDGE_STACK] if not edge.others(wanted.stack) else [])}
    ours = _nodes(wanted.stack, reached) or {reached.here}
    for stack, theirs in published.items():
        if stack not in passed and ports & theirs and ours & _nodes(stack, reached):
            listed = " and ".join(map(str, sorted(ports & theirs)))
            raise problem("DEP72", ports=listed, stack=stack)


def _nodes(stack: str, reached: Swarm) -> set[str]:
    return {node.id for node in reached.labelled(swarm.proxy_label(stack))}


def _published() -> dict[str, set[int]]:
    """The ports of a node that the services of each stack publish."""
    ids = engine.ask("service", "ls", "--quiet").split()
    entries = swarm_stack.inspected(ids) if ids else []  # some may have ended meanwhile
    found: dict[str, set[int]] = {}
    for entry in entries:
        stack = (entry["Spec"].get("Labels") or {}).get(NAMESPACE, "")
        found.setdefault(stack, set()).update(_of_service(entry))
    return found


def _of_service(entry: dict[str, Any]) -> set[int]:
    ports = (entry["Spec"].get("EndpointSpec") or {}).get("Ports") or ()
    return {port["PublishedPort"] for port in ports if "PublishedPort" in port}
