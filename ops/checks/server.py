"""The stack's own database as its superuser sees it, on any runtime."""

import time
from functools import partial

from ops import database, problems, runtimes
from ops.checks import Finding, Fix
from ops.env import Settings

CLOCK_SECONDS = 60


def check(settings: Settings) -> list[Finding]:
    """Whether a server that runs fits `.env`, and keeps the same time as Django."""
    problem = database.misfit(settings)
    if problem:
        # Only a password can be set without asking what was meant.
        fix = Fix("inv db.password", partial(_mend, settings)) if problem.code == "DB02" else None
        return [Finding("database", "does not fit .env", problem, fix)]
    return [Finding("database", "lets in who .env names"), *_times(settings)]


def _mend(settings: Settings) -> None:
    database.set_password(settings)
    runtimes.of(settings).up(settings)  # what died of it starts again


def _times(settings: Settings) -> list[Finding]:
    told = database.times(settings)
    ahead = round(told.clock - time.time())
    if abs(ahead) > CLOCK_SECONDS:
        return [Finding("clock", "the database's differs", problems.clock_off("db", abs(ahead)))]
    if told.offset:
        problem = problems.time_zone(
            told.zone, settings.values["SQL_USER"], settings.values["SQL_DATABASE"]
        )
        return [Finding("time zone", told.zone, problem)]
    return [Finding("time zone", told.zone)]
