#!/bin/sh
# The service `archive`: keeps every change of the database as it is made, and copies of the whole to
# begin from. In the image of PostgreSQL, by its own programs. A folder of /archive is an era: changes
# without a gap. Another database, or changes that were lost, begin another one.
#   ERA/wal              the changes, as pg_receivewal writes them
#   ERA/base/TIME-full   a copy each week
#   ERA/base/TIME-part   from PostgreSQL 17, each day: what differs from the copy before
set -eu
umask 077

# As root, the owner of the volume; then as the user who may read what the server reads, who is another
# one in images of Debian.
if [ -z "${PGPASSWORD:-}" ]; then
  PGPASSWORD=$(cat /run/secrets/sql_password)
  export PGPASSWORD
  [ "$(stat -c %u /archive)" = "$(id -u postgres)" ] || chown -R postgres /archive
  exec "$(command -v gosu || command -v su-exec)" postgres sh "$0"
fi

# shellcheck source=packages/djup/src/djup/deploy/programs/follow.sh
. /follow.sh
export PGAPPNAME=archive
WEEK=10080 DAY=1440 # minutes
RETRY=10            # minutes, after a copy that failed
receiver='' waited=0

now() { ask "select to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')"; }
# A copy does not go on beyond the receiver, which comes first.
is_wanted() { kill -0 "$receiver" 2>/dev/null; }

ends() {
  for child in $receiver $worker; do
    kill "$child" 2>/dev/null || true
    wait "$child" || true
  done
  exit 0
}
trap ends TERM INT

# Below, each step says what comes of its failure: `set -e` does nothing in what is called after `if`.

# What needs no restart.
prepare_server() {
  allow_us_in && limit_what_is_kept || return 1
  [ "$PG_MAJOR" -lt 17 ] || ask 'alter system set summarize_wal = on' || return 1
  ask 'select pg_reload_conf()' >/dev/null
}

# The era to go on with: the newest, if it is of this database and what comes next fits on to it.
choose_era() {
  system=$(ask 'select system_identifier from pg_control_system()') || return 1
  slot=$(ask "select coalesce(wal_status, 'lost') from pg_replication_slots where slot_name = 'archive'") ||
    return 1
  era=$(find /archive -mindepth 1 -maxdepth 1 -name '*Z-*' | sort | tail -n 1)
  case $era in
  *"-$system") [ -z "$slot" ] || fits || slot=lost ;;
  *) era= ;;
  esac
  if [ "$slot" = lost ]; then
    say 'there is a gap: the database has not got all that comes after what is archived'
    ask "select pg_drop_replication_slot('archive')" >/dev/null || return 1
    slot=
  fi
  if [ -z "$slot" ] || [ -z "$era" ]; then
    # The folder first: were it to come second, and we be killed before, the era before would go on.
    began=$(now) || return 1
    era=/archive/$began-$system
    mkdir "$era" "$era/wal" "$era/base" || return 1
    pg_receivewal --slot archive --create-slot --if-not-exists || {
      rm -r "$era"
      return 1
    }
    tell_copied ''
    say "a new era begins: $era"
  fi
}

# Whether the last segment here is none that the database has removed, or has yet to write: a volume
# that was put back, of the one side or the other.
fits() {
  here=$(find "$era/wal" -type f ! -name '*.history' | sed 's|.*/||' | cut -c1-24 | sort | tail -n 1)
  [ -n "$here" ] || return 0
  there=$(ask "select pg_walfile_name(restart_lsn) || ' ' || pg_walfile_name(pg_current_wal_lsn()) from pg_replication_slots where slot_name = 'archive'") ||
    return 0
  [ "$(printf '%s\n' "${there% *}" "$here" "${there#* }" | sort -c 2>&1)" = '' ]
}

# The database itself says when the last copy was made: whoever asks it how far we are.
tell_copied() { ask "alter role current_user set archive.copied = '$1'" || say 'the copy could not be noted'; }

# Follow the server until it, or its slot, is gone.
follow() {
  pg_receivewal --dbname "$LIVELY" --slot archive --directory "$era/wal" --synchronous --no-loop \
    --status-interval 1 &
  receiver=$!
  while kill -0 "$receiver" 2>/dev/null; do
    if [ "$waited" -gt 0 ]; then
      waited=$((waited - 1))
    elif is_due; then
      copy || waited=$((RETRY * 12))
      rm -rf "$era/base/unfinished"
    fi
    prune || say 'what is old could not be removed'
    pause 5
  done
  wait "$receiver" || say 'the connection to the database has ended'
  receiver=
}

copies() { find "$era/base" -mindepth 1 -maxdepth 1 -name "*Z-$1" | sort; }

# Whether there is no copy of the last day (before PostgreSQL 17: week); sets the kind of the next one.
is_due() {
  kind=part often=$DAY
  [ -n "$(find "$era/base" -mindepth 1 -maxdepth 1 -name '*Z-full' -mmin -$WEEK)" ] || kind=full
  [ "$PG_MAJOR" -ge 17 ] || kind=full often=$WEEK
  [ -z "$(find "$era/base" -mindepth 1 -maxdepth 1 -name '*Z-*' -mmin -$often)" ]
}

copy() {
  new=$era/base/unfinished
  rm -rf "$new"
  # On one node, the disk that would be full is that of the database.
  if [ $kind = full ]; then has_room /archive 1; else has_room /archive 4; fi || return 1
  set -- --pgdata "$new" --checkpoint fast --wal-method none --no-password
  if [ $kind = part ]; then
    set -- "$@" --incremental "$(copies '*' | tail -n 1)/backup_manifest"
  fi
  # A summary of changes that is not there, as of a time before they were made: then all of it.
  if ! patiently env PGAPPNAME=archive-copy pg_basebackup "$@"; then
    [ $kind = part ] || return 1
    kind=full
    copy
    return
  fi
  patiently pg_verifybackup --no-parse-wal --quiet "$new" || return 1
  name=$(now) && mv "$new" "$era/base/$name-$kind" || return 1
  tell_copied "$(date +%s)"
  say "a copy was made: $kind"
}

# What lies before the newest full copy that is older than ARCHIVE_DAYS goes.
prune() {
  first=$(find "$era/base" -mindepth 1 -maxdepth 1 -name '*Z-full' -mmin "+$((ARCHIVE_DAYS * DAY))" | sort | tail -n 1)
  if [ -n "$first" ] && [ "$first" != "$(copies '*' | head -n 1)" ]; then
    copies '*' | while read -r old; do
      [ "$old" != "$first" ] || break
      say "removed $old"
      rm -rf "$old" || return 1
    done
    needed=$(sed -n 's/^START WAL LOCATION:.*(file \([0-9A-F]*\)).*/\1/p' "$first/backup_label")
    pg_archivecleanup "$era/wal" "$needed" || return 1
  fi
  find /archive -mindepth 1 -maxdepth 1 -name '*Z-*' | while read -r other; do
    [ "$other" != "$era" ] || continue
    recent=$(find "$other" -mmin "-$((ARCHIVE_DAYS * DAY))") || return 1
    [ -z "$recent" ] || continue
    say "removed $other"
    rm -rf "$other" || return 1
  done
}

while :; do
  if prepare_server && choose_era; then follow; else say 'it will be tried again'; fi
  pause 2
done
