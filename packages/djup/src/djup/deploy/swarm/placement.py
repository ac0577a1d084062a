"""Which nodes a service may run on, by the constraints of its compose file."""

import re
from collections.abc import Sequence

from djup.deploy.swarm.swarm import Node

# As `docker stack config` prints them: - node.labels.proxy.shop == true
CONSTRAINT = re.compile(r"(?m)^\s+- '?(node\.[\w.-]+) *(==|!=) *([^\s']+)'?$")


def nodes_for(service: str, nodes: Sequence[Node]) -> list[Node]:
    """The nodes that this service, as it is rendered, may run on; what is asked of a node and not
    known here, such as its role, is taken to be so."""
    asked = CONSTRAINT.findall(service)
    return [node for node in nodes if all(_has(node, *constraint) for constraint in asked)]


def _has(node: Node, key: str, sign: str, value: str) -> bool:
    if key.startswith("node.labels."):
        found = node.labels.get(key.removeprefix("node.labels."), "")
    elif (known := {"node.id": node.id, "node.hostname": node.name}.get(key)) is not None:
        found = known
    else:
        return True
    return (found == value) == (sign == "==")
