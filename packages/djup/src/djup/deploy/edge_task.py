"""`inv deploy.edge`: what the edge serves, and its removal when it serves nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

from djup.deploy import edge, routes
from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.host import process
from djup.problems import problem
from djup.settings.settings import Settings
from djup.terminal import consent, console
from djup.terminal.task import this_task


@dataclass(frozen=True)
class Site:
    """A site behind the edge: its stack, its names, how it comes by its certificate."""

    stack: str
    names: tuple[str, ...]
    tls: str


def run(settings: Settings, context: str, *, remove: bool, yes: bool, as_json: bool) -> None:
    """List the sites behind the edge of a Swarm; or remove the edge that has none."""
    where = swarm.lead_to(settings, context, local=False)
    known = routes.all_of() if swarm.is_one() else []
    found = [Site(route.stack, route.names, route.tls) for route in known]
    if remove:
        _remove(found, where, yes)
    else:
        console.answer(console.as_json(found) if as_json else _as_text(found))


def _remove(found: Sequence[Site], where: str, yes: bool) -> None:
    if found:
        raise problem("DEP76", sites=console.few([site.stack for site in found]))
    what = f"removes the stack {edge.NAME} on {where}; its certificates stay"
    if not consent.by_name(f"This {what}. To continue, type", edge.NAME, yes=yes).given:
        raise problem("DEP27", stack=edge.NAME, what=what)
    with one_deploy(edge.NAME):
        swarm_stack.remove(edge.NAME)
    for network in (edge.SITES, edge.INNER):
        process.clean_up(["docker", "network", "rm", network])
    if not this_task.dry:
        console.say(f"the volumes {edge.NAME}_caddy_data and {edge.NAME}_caddy_config stay")


def _as_text(found: Sequence[Site]) -> str:
    rows = [(site.stack, ", ".join(site.names), site.tls) for site in found]
    return console.table(("STACK", "NAMES", "TLS"), rows)
