"""The scheduled backups of production, where `.env` asks for them: as their store has them."""

from datetime import UTC, datetime

from djup.deploy import stored
from djup.deploy.swarm import swarm
from djup.doctor.finding import Finding
from djup.problems import Problem
from djup.stack.stack import Stack
from djup.terminal.task import this_task

SUBJECT = "backups"


def check(development: Stack) -> list[Finding]:
    """Whether the newest is new enough, and was tried out; nothing without BACKUP_AT."""
    store = stored.of(development.settings)
    if not store.is_on:
        return []
    engine, deploys, target = this_task.engine, this_task.deploys, this_task.target
    try:
        swarm.lead_to(development.settings, "", local=False)
        found = store.backups()
    except Problem as error:
        return [Finding(SUBJECT, "cannot be looked at", error)]
    finally:  # the other checks are about this machine
        this_task.engine, this_task.deploys, this_task.target = engine, deploys, target
    cause = stored.judged(store, found, datetime.now(UTC))
    return [Finding(SUBJECT, stored.in_short(found, store), cause)]
