"""What the database keeps for those that follow it, and no longer once they are no more."""

from collections.abc import Callable

from djup.deploy import archive_lag, archiving, database_client, standby
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm

FOLLOWERS: dict[str, Callable[[Release], bool]] = {
    archive_lag.SLOT: archiving.has_one,
    standby.SERVICE: standby.has_one,
}
# Its connection takes a moment to end, and that of a node that is gone a minute.
DROP = """
do $$ begin
  for i in 1..40 loop
    perform pg_terminate_backend(active_pid)
      from pg_replication_slots where slot_name = '{slot}' and active;
    exit when not exists (select from pg_replication_slots where slot_name = '{slot}' and active);
    perform pg_sleep(0.5);
  end loop;
  perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}';
end $$;"""
RESET = """
select 'alter system reset ' || name from pg_settings
where name in ({names}) and sourcefile like '%auto.conf'
\\gexec
select from pg_reload_conf();
alter role current_user reset "archive.copied";"""
OF_ARCHIVE, OF_ALL = "'summarize_wal'", "'summarize_wal', 'max_slot_wal_keep_size'"


def drop(release: Release, swarm: Swarm, slot: str) -> None:
    """Have the database keep nothing more for one follower."""
    with database_client.client(release, swarm) as client:
        client.ask(DROP.format(slot=slot), client.database)


def forget(before: Release | None, release: Release, swarm: Swarm) -> None:
    """Have the database keep nothing for what the release before had, and this one has not."""
    if before is None or not release.has_own_database:
        return
    gone = [slot for slot, has in FOLLOWERS.items() if has(before) and not has(release)]
    left = [slot for slot, has in FOLLOWERS.items() if has(release)]
    if not gone:
        return
    with database_client.client(release, swarm) as client:
        for slot in gone:
            client.ask(DROP.format(slot=slot), client.database)
        if archive_lag.SLOT not in left:
            client.ask(RESET.format(names=OF_ARCHIVE if left else OF_ALL), client.database)
