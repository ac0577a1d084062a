"""The programs of a service that no release has, as configs of the Swarm while it runs."""

from collections.abc import Mapping

from djup.deploy.production import object_names
from djup.deploy.swarm import objects


def create(stack: str, contents: Mapping[str, str]) -> dict[str, str]:
    """Create what is not there yet; the full name of each, by the variable of compose files that
    has it, such as STANDBY_PROGRAM_CONFIG. The next deploy removes them."""
    named = object_names(stack, {}, contents)
    texts = {named[variable(name)]: text for name, text in contents.items()}
    objects.make_missing("config", stack, texts)
    return named


def variable(name: str) -> str:
    """The variable that has the full name of a config."""
    return f"{name.upper()}_CONFIG"
