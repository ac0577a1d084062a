"""Ports of a node that the proxy of another stack on the same Swarm has."""

import json
from typing import Any

from djup.deploy.production import PORTS, Production
from djup.deploy.swarm import swarm
from djup.deploy.swarm.objects import NAMESPACE
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.swarm.swarm_stack import RELEASE
from djup.docker import engine
from djup.problems import problem


def refuse_taken(wanted: Production, reached: Swarm) -> None:
    """Raise before anything is built where the proxy could start on no node that it is for."""
    ports = {int(wanted.values[key]) for key in PORTS}
    ours = _nodes(wanted.stack, reached) or {reached.here}
    for stack, theirs in _published().items():
        if stack != wanted.stack and ports & theirs and ours & _nodes(stack, reached):
            listed = " and ".join(map(str, sorted(ports & theirs)))
            raise problem("DEP72", ports=listed, stack=stack)


def _nodes(stack: str, reached: Swarm) -> set[str]:
    return {node.id for node in reached.labelled(swarm.proxy_label(stack))}


def _published() -> dict[str, set[int]]:
    """The ports of a node that the services of each stack of ours publish."""
    ids = engine.ask("service", "ls", "--filter", f"label={RELEASE}", "--quiet").split()
    entries = json.loads(engine.ask("service", "inspect", *ids)) if ids else []
    found: dict[str, set[int]] = {}
    for entry in entries:
        stack = entry["Spec"]["Labels"].get(NAMESPACE, "")
        found.setdefault(stack, set()).update(_of_service(entry))
    return found


def _of_service(entry: dict[str, Any]) -> set[int]:
    ports = (entry["Spec"].get("EndpointSpec") or {}).get("Ports") or ()
    return {port["PublishedPort"] for port in ports if "PublishedPort" in port}
