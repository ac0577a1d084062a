"""The stack that a task of `inv deploy` is about: which engine, which name, which Swarm."""

from dataclasses import dataclass

from djup.deploy import history, production
from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.swarm.swarm_stack import Service
from djup.problems import problem
from djup.settings.settings import Settings


@dataclass(frozen=True)
class Target:
    """Where a stack is, or is not: the engine in words, the stack's name, its Swarm."""

    where: str
    stack: str
    swarm: Swarm

    def release(self) -> Release:
        """What is deployed there; a Problem where nothing is."""
        if release := history.current(self.stack):
            return release
        raise problem("DEP18", stack=self.stack, where=self.where)

    def services(self) -> list[Service]:
        """What runs there, also of a first deploy that has failed; a Problem where nothing does."""
        if services := swarm_stack.services(self.stack):
            return services
        raise problem("DEP18", stack=self.stack, where=self.where)


def find_target(settings: Settings, context: str, *, local: bool) -> Target:
    """Have docker speak to the engine that is meant; a Problem where that is in no Swarm."""
    where = swarm.lead_to(settings, context, local=local)
    name = production.stack_name(settings, local=local)
    if not swarm.is_one():
        raise problem("DEP18", stack=name, where=where)
    return Target(where, name, swarm.find(where, yes=False))
