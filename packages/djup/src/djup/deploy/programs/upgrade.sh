#!/bin/sh
# The service `upgrade`: a copy of the database that follows it, in another folder of the same volume, until it
# is promoted. Then pg_upgrade makes a cluster of the next version of it. In the image of the next version;
# the programs of the version before were put into the volume by bundle.sh. The cluster in use is only read.
#   NAME/main        the cluster of the next version, in use once the file `active` names it
#   NAME/copy        the copy, whose files the new cluster has in the end
#   NAME/programs    the programs of the version before
#   NAME/unfinished  as long as this is not done
set -eu
home=/var/lib/postgresql
export ours="$home/$CLUSTER" PGDATA="$home/$CLUSTER/main" copy="$home/$CLUSTER/copy"

if [ -z "${PGPASSWORD:-}" ]; then
  PGPASSWORD=$(cat /run/secrets/sql_password)
  export PGPASSWORD
  # As long as there is but one cluster, the image's version names it; soon it is another image's.
  [ -e "$home/active" ] || echo "$BEFORE" >"$home/active"
  # Never two servers on one cluster, as in compose/db.yaml.
  exec 9>"$ours/lock"
  command -v flock >/dev/null && flock 9
  rm -rf "$copy" "$PGDATA"
  (. /etc/os-release && echo "$ID" >"$ours/system")
  echo "$POSTGRES_IMAGE" >"$ours/image"
  echo "$SUPERUSER" >"$ours/superuser"
  chown postgres "$ours"
  as_postgres="$(command -v gosu || command -v su-exec) postgres"
  $as_postgres sh "$0"
  # Each step is on disk before the next: whoever finds `active` finds all of it.
  rm -rf "$copy" "$ours/programs" "$ours/unfinished"
  sync
  cd "$home"
  echo "$CLUSTER" >active.part && sync active.part && mv active.part active && sync .
  exit 0
fi

# shellcheck source=packages/djup/src/djup/deploy/programs/follow.sh
. /follow.sh
export PGAPPNAME=upgrade LC_ALL=C
SLOT=upgrade
MOST_LOOKS=216000 # 12 hours: whoever wanted this is gone
old=$ours/programs$(cat "$ours/programs/bin")
used=$home/$BEFORE/main

fail() {
  echo "$1" >&2
  exit 1
}
is_wanted() { :; }
ask_copy() {
  name=$1
  shift
  psql -XAtq -v ON_ERROR_STOP=1 -h /tmp -U "$SUPERUSER" -d "$name" "$@"
}

make_copy() {
  allow_us_in && limit_what_is_kept || fail 'the database does not answer'
  has_room "$ours" 1 || fail 'too little disk on the node of the database'
  ask "select pg_drop_replication_slot('$SLOT') from pg_replication_slots where slot_name = '$SLOT' and not active" >/dev/null
  ask "select pg_create_physical_replication_slot('$SLOT', true)" >/dev/null || fail 'no slot for a copy'
  patiently env PGAPPNAME=upgrade-copy pg_basebackup --dbname "$LIVELY" --pgdata "$copy" --checkpoint fast \
    --wal-method stream --slot "$SLOT" --no-password || fail 'the database could not be copied'
  touch "$copy/standby.signal"
}

follow() {
  way="host=$PGHOST port=$PGPORT user=$PGUSER application_name=$SLOT $LIVELY"
  # Nobody is waited for who confirms changes, and no subscription takes what an undo would lose.
  # shellcheck disable=SC2046
  "$old/postgres" -D "$copy" $("$old/pg_controldata" "$copy" | limits) -c synchronous_standby_names= \
    -c max_logical_replication_workers=0 -c "primary_conninfo=$way" -c "primary_slot_name=$SLOT" \
    -c hot_standby=on -c listen_addresses='*' -c port=5432 -c unix_socket_directories=/tmp &
  server=$!
  until pg_isready --quiet --host /tmp; do
    kill -0 "$server" 2>/dev/null || fail 'the copy does not start'
    pause 0.2
  done
}

# The cluster as the image makes one, and what was set by ALTER SYSTEM: a setting that this version does not
# know is found before anything is stopped.
make_cluster() {
  checksums=--no-data-checksums
  [ "$("$old/pg_controldata" "$copy" | sed -n 's/^Data page checksum version: *//p')" = 0 ] || checksums=--data-checksums
  [ "$checksums" = --data-checksums ] || [ "$PG_MAJOR" -ge 18 ] || checksums=
  initdb --username="$SUPERUSER" --no-sync --encoding=UTF8 $checksums >/dev/null
  cp "$used/postgresql.auto.conf" "$PGDATA/"
}

upgraded() {
  # Who reads a failure wants what the programs said, not the list of what went well.
  cd "$ours/work"
  env -u PGHOST -u PGPORT -u PGDATABASE pg_upgrade "$@" --link --old-bindir "$old" \
    --new-bindir "$(pg_config --bindir)" --old-datadir "$copy" --new-datadir "$PGDATA" \
    --username "$SUPERUSER" --socketdir /tmp --old-port 5432 --jobs "$(nproc)" >said 2>&1 && return
  find "$PGDATA/pg_upgrade_output.d" -name '*.txt' -exec cat {} + 2>/dev/null || true
  find "$PGDATA/pg_upgrade_output.d" -name '*.log' -exec grep -hE 'ERROR|FATAL|error:' {} + 2>/dev/null | sort -u | head -n 8
  grep -vE ' ok$|^-+$|^$' said | tail -n 8
  return 1
}

# What the system of an image has noted with the columns (Debian's 17.12 does), and no other server takes.
drop_unknown_options() {
  ask_copy template1 -c 'select datname from pg_database where datallowconn' | while read -r database; do
    ask_copy "$database" -c 'set allow_system_table_mods = on' -c "update pg_attribute
      set attoptions = nullif(array(select o from unnest(attoptions) o where o like 'n\_distinct%'), '{}')
      where attoptions is not null"
  done
}

mkdir -p "$ours/work"
make_copy
follow
make_cluster
upgraded --check || fail 'pg_upgrade finds what it cannot take over'
say 'the copy follows'
touch /tmp/ready

looks=0
while [ -e "$copy/standby.signal" ]; do
  kill -0 "$server" 2>/dev/null || fail 'the copy has ended'
  [ $((looks += 1)) -lt $MOST_LOOKS ] || fail 'nobody has promoted the copy'
  pause 0.2
done
until [ "$(ask_copy template1 -c 'select pg_is_in_recovery()' 2>/dev/null)" = f ]; do
  kill -0 "$server" 2>/dev/null || fail 'the copy has ended'
  pause 0.1
done
drop_unknown_options
kill -INT "$server"
wait "$server" || fail 'the copy did not end in order'
upgraded || fail 'pg_upgrade failed'
cp "$used/postgresql.auto.conf" "$used/pg_hba.conf" "$used/pg_ident.conf" "$PGDATA/"
rm -rf "$ours/work" "$PGDATA/pg_upgrade_output.d"
say 'upgraded'
