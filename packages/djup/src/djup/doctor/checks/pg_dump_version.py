"""Whether pg_dump can dump a database elsewhere: it must not be older than that server."""

from djup.doctor.finding import Finding
from djup.problems import Problem, ProgramsTooOld
from djup.stack.stack import Stack

SUBJECT = "pg_dump"


def check(stack: Stack) -> list[Finding]:
    """Compare the version of pg_dump with that of the server, where both can be asked."""
    if stack.settings.has_own_database or not stack.remote_programs().are_here():
        return []
    try:
        with stack.client() as client:
            client.refuse_newer_server()
            return [Finding(SUBJECT, f"version {client.version}, not older than the server")]
    except ProgramsTooOld as problem:
        return [Finding(SUBJECT, "older than the server", problem)]
    except Problem:
        return [Finding(SUBJECT, "cannot be reached", known=False)]  # the web's check says why
