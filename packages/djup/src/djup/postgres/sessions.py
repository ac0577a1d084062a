"""Sessions of a database that are in the way: which there are, and what ends them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

# An open transaction that does nothing keeps its locks: on what it has read, too. A request
# has one only while it works. Takes the name of the database from SQL_DATABASE.
OPEN = r"""
\getenv database SQL_DATABASE
SELECT coalesce(json_agg(json_build_array(a.pid, a.usename, a.application_name,
    extract(epoch FROM clock_timestamp() - a.xact_start)::int,
    left(regexp_replace(a.query, '\s+', ' ', 'g'), 160)) ORDER BY a.xact_start), '[]')
  FROM pg_stat_activity a
  WHERE a.datname = :'database' AND a.state LIKE 'idle in transaction%'
    AND clock_timestamp() - a.state_change > interval '10 s'
    AND EXISTS (SELECT FROM pg_locks l
      WHERE l.pid = a.pid AND l.database = a.datid AND l.relation >= 16384);
"""


@dataclass(frozen=True)
class IdleSession:
    """A session that holds a table in a transaction, and does nothing: its server process, user
    and program, for how many seconds, and what it last ran."""

    pid: int
    user: str
    program: str
    seconds: int
    query: str

    def __str__(self) -> str:
        by = f" by {self.program}" if self.program else ""
        return (
            f"server process {self.pid} (user {self.user}{by}) has had a transaction open for "
            f"{self.seconds} s, and last ran: {self.query}"
        )


def open_ones(told: str) -> list[IdleSession]:
    """What OPEN has told, the longest first."""
    return [IdleSession(*row) for row in json.loads(told)]


def end_session(pids: Sequence[str], psql: str) -> str:
    """What ends the sessions that hold a lock."""
    ends = "; ".join(f"{psql} -- -c 'select pg_terminate_backend({pid})'" for pid in pids)
    # Nobody is named where the holder is a prepared transaction, or has ended.
    named = f"{ends}  (rolls back what that session has not committed)"
    return f"let that session end, or {named if ends else 'end the session that the error names'}"
