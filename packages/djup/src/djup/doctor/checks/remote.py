"""A database that is not the stack's own: whether the programs here can back it up."""

from djup.docker import resources
from djup.doctor.finding import Finding
from djup.postgres import remote
from djup.problems import Problem, ProgramsTooOld
from djup.settings.settings import Settings
from djup.stack.stack import Stack
from djup.stack.volume_clusters import KEY

SUBJECT = "pg_dump"


def check(stack: Stack) -> list[Finding]:
    """Compare the version of pg_dump with that of the server, where both can be asked."""
    settings = stack.settings
    if settings.has_own_database or not _is_here(settings):
        return []
    try:
        with stack.client() as client:
            client.refuse_newer_server()
            return [Finding(SUBJECT, f"version {client.version}, not older than the server")]
    except ProgramsTooOld as problem:
        return [Finding(SUBJECT, "older than the server", problem)]
    except Problem:
        return [Finding(SUBJECT, "cannot be reached", known=False)]  # the web's check says why


def _is_here(settings: Settings) -> bool:
    """Whether the programs can be had without a download."""
    if remote.in_container(settings):
        image = settings.values[KEY]
        return image in resources.inspect(image)
    return True
