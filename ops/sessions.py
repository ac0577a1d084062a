"""Sessions of a database that are in the way."""

from collections.abc import Sequence


def end_session(pids: Sequence[str], psql: str) -> str:
    """What ends the sessions that hold a lock."""
    ends = "; ".join(f"{psql} -- -c 'select pg_terminate_backend({pid})'" for pid in pids)
    # Nobody is named where the holder is a prepared transaction, or has ended.
    named = f"{ends}  (rolls back what that session has not committed)"
    return f"let that session end, or {named if ends else 'end what the sentence names'}"
