"""How far the standby is behind the database, as that tells; and what it has, as itself tells."""

from dataclasses import dataclass

from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.terminal import console

MOST_BYTES, MOST_SECONDS = 64 * 1024 * 1024, 60  # behind: then somebody is to look
LAG = """
select count(*) filter (where application_name = 'standby' and state = 'streaming'),
  coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint,
  coalesce(max(extract(epoch from replay_lag)), 0),
  coalesce(max(100 * backup_streamed / nullif(backup_total, 0)), -1)
from pg_stat_replication left join pg_stat_progress_basebackup using (pid)
where application_name in ('standby', 'standby-copy')"""
RECEIVED = """
select pg_is_in_recovery(), coalesce(
  to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '')"""


@dataclass(frozen=True)
class Lag:
    """How far the standby is behind; `follows` is whether it is there, `copied` how many percent of
    the database it has where its first copy is being made (-1: none is)."""

    follows: bool
    bytes: int
    seconds: float
    copied: int = -1

    @property
    def cause(self) -> Problem | None:
        """What is wrong with it; None if nothing is."""
        if not self.follows and self.copied >= 0:
            return problem("DEP65.copying", percent=self.copied)
        if not self.follows:
            return problem("DEP65")
        if self.bytes > MOST_BYTES or self.seconds > MOST_SECONDS:
            size, seconds = console.size(self.bytes), round(self.seconds)
            return problem("DEP65.behind", size=size, seconds=seconds)
        return None

    def in_words(self) -> str:
        """For the person at the terminal."""
        if self.follows:
            return f"standby: {console.size(self.bytes)} and {self.seconds:.1f} s behind"
        return (
            f"standby: copied {self.copied} %" if self.copied >= 0 else "standby: does not follow"
        )


UNKNOWN = Lag(follows=False, bytes=0, seconds=0.0)


@dataclass(frozen=True)
class Received:
    """What the standby says of itself: whether it still follows, or was promoted, and when its last
    change was made at the database (UTC; '' if none came)."""

    follows: bool
    last: str


def lag(client: Client) -> Lag:
    """Ask the database how far its standby is."""
    count, size, seconds, copied = client.ask(LAG, client.database).split("|")
    return Lag(count != "0", int(size), float(seconds), int(copied))


def received(client: Client) -> Received:
    """Ask the standby what it has."""
    follows, last = client.ask(RECEIVED, client.database).split("|")
    return Received(follows == "t", last)
