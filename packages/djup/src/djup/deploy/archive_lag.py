"""How far the archive is behind the database, as the database tells."""

from dataclasses import dataclass

from djup.postgres.client import Client
from djup.problems import Problem, problem
from djup.terminal import console

SLOT = "archive"  # and the name of its connection
MOST_BYTES, MOST_SECONDS = 64 * 1024 * 1024, 60  # behind: then somebody is to look
# Since the last copy: they are made each day or, before PostgreSQL 17, each week.
MOST_DAYS = {True: 2, False: 8}
DAY_SECONDS = 86_400
COPIED = "nullif(current_setting('archive.copied', true), '')::float"
LAG = f"""
select count(flush_lsn), coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)), 0)::bigint,
  coalesce(max(extract(epoch from flush_lag)), 0),
  coalesce(extract(epoch from now()) - {COPIED}, -1),
  current_setting('server_version_num')::int >= 170000
from pg_stat_replication where application_name = '{SLOT}'"""
REACHED = f"""
select count(*) from pg_stat_replication
where application_name = '{SLOT}' and flush_lsn >= :'position'::pg_lsn"""


@dataclass(frozen=True)
class Lag:
    """How far the archive is behind the database, which tells; `follows` is whether it is there,
    `copied` how many seconds ago the last copy was made (-1: there is none), and `daily` whether
    one is made each day."""

    follows: bool
    bytes: int
    seconds: float
    copied: float
    daily: bool = True

    @property
    def cause(self) -> Problem | None:
        """What is wrong with it; None if nothing is."""
        if not self.follows:
            return problem("DEP63")
        if self.bytes > MOST_BYTES or self.seconds > MOST_SECONDS:
            size, seconds = console.size(self.bytes), round(self.seconds)
            return problem("DEP63.behind", size=size, seconds=seconds)
        if not 0 <= self.copied < MOST_DAYS[self.daily] * DAY_SECONDS:
            return problem("DEP63.copy", days=MOST_DAYS[self.daily])
        return None

    def in_words(self) -> str:
        """For the person at the terminal."""
        if not self.follows:
            return "archive: does not follow"
        hours = f"{self.copied / 3600:.0f} h ago" if self.copied >= 0 else "not made yet"
        return (
            f"archive: {console.size(self.bytes)} and {self.seconds:.1f} s behind, "
            f"its last copy {hours}"
        )


UNKNOWN = Lag(follows=False, bytes=0, seconds=0.0, copied=-1)


def lag(client: Client) -> Lag:
    """Ask the database how far its archive is."""
    count, size, seconds, copied, daily = client.ask(LAG, client.database).split("|")
    return Lag(count != "0", int(size), float(seconds), float(copied), daily == "t")


def reached(client: Client, position: str) -> bool:
    """Whether the archive has all up to a position of the log (an LSN)."""
    script = f"\\getenv position POSITION\n{REACHED}"
    return client.ask(script, client.database, POSITION=position) != "0"
