"""The scheduled backups of production, where `.env` asks for them: as their store has them."""

from dataclasses import replace
from datetime import UTC, datetime

from djup.deploy import stored
from djup.deploy.swarm import swarm
from djup.doctor.finding import Finding
from djup.problems import Problem
from djup.settings import stages
from djup.settings.settings import Settings
from djup.stack.stack import Stack
from djup.terminal.task import this_task

SUBJECT = "backups"


def check(development: Stack) -> list[Finding]:
    """Whether the newest is new enough, and was tried out, of production and of each stage; nothing
    without BACKUP_AT."""
    named = ("", *stages.names(development.settings.values))
    settings = (replace(development.settings, stage=name) for name in named)
    return [finding for one in settings for finding in _check(one)]


def _check(settings: Settings) -> list[Finding]:
    store = stored.of(settings)
    subject = f"{SUBJECT} of {settings.stage}" if settings.stage else SUBJECT
    if not store.is_on:
        return []
    engine, deploys, target = this_task.engine, this_task.deploys, this_task.target
    try:
        swarm.lead_to(settings, "", local=False)
        found = store.backups()
    except Problem as error:
        return [Finding(subject, "cannot be looked at", error)]
    finally:  # the other checks are about this machine
        this_task.engine, this_task.deploys, this_task.target = engine, deploys, target
    cause = stored.judged(store, found, datetime.now(UTC))
    return [Finding(subject, stored.in_short(found, store), cause)]
