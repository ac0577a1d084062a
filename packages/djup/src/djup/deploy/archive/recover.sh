#!/bin/sh
# A server of its own with the database as it was at a moment, made of what the archive has.
#   recover.sh 20261128T140305Z '2026-11-28 14:03:05+00' whole
# The moment in both ways, and whether the archive is known to have all up to now (`whole`).
# Ends with 65 if the archive does not reach that far, 66 if another version of PostgreSQL wrote it.
set -eu
umask 077
key=$1 moment=$2 has=$3
data=/tmp/data

if [ -z "${SUPERUSER_PASSWORD:-}" ]; then
  SUPERUSER_PASSWORD=$(cat /run/secrets/sql_password)
  export SUPERUSER_PASSWORD
  chown postgres /tmp
  exec "$(command -v gosu || command -v su-exec)" postgres sh "$0" "$@"
fi

refuse() {
  echo "$2" >&2
  exit "$1"
}

# Every copy that was complete by then, the newest last, by time.
known=$(find /archive -path '*/base/*Z-*' -prune | awk -F/ '{print $NF, $0}' | sort)
[ -n "$known" ] || refuse 65 'the archive has no copy yet'
until_then=$(echo "$known" | awk -v key="$key" '{ split($1, name, "-") } name[1] <= key')
[ -n "$until_then" ] || refuse 65 "the archive begins with $(echo "$known" | head -n 1 | cut -d- -f1)"
last=$(echo "$until_then" | tail -n 1 | cut -d' ' -f2)
era=$(dirname "$(dirname "$last")")
newest_era=$(find /archive -mindepth 1 -maxdepth 1 -name "*Z-${era##*-}" | sort | tail -n 1)
version=$(cat "$last/PG_VERSION")
[ "$version" = "$PG_MAJOR" ] || refuse 66 "the archive was written by PostgreSQL $version"

# The full copy, and what was added to it since.
chain=$(echo "$until_then" | cut -d' ' -f2 | grep "^$era/" | awk '/-full$/ { chain = "" } { chain = chain " " $0 } END { print chain }')
# shellcheck disable=SC2086
set -- $chain
echo "begins with $*" >&2
if [ $# = 1 ]; then
  cp -R "$1" $data
else
  pg_combinebackup --output $data "$@"
fi

printf '%s\n' 'local all all trust' 'host all all all scram-sha-256' >/tmp/hba
# What the server has beyond its defaults may ask for what is not here.
cat >>$data/postgresql.auto.conf <<CONF
restore_command = 'cp $era/wal/%f %p 2>/dev/null || cp $era/wal/%f.partial %p 2>/dev/null'
recovery_target_time = '$moment'
recovery_target_action = 'promote'
hot_standby = off
hba_file = '/tmp/hba'
listen_addresses = '*'
port = 5432
unix_socket_directories = '/tmp'
archive_mode = off
$([ "$PG_MAJOR" -lt 17 ] || echo 'summarize_wal = off')
CONF
touch $data/recovery.signal

started() {
  postgres -D $data >/tmp/log 2>&1 &
  server=$!
  while kill -0 $server 2>/dev/null; do
    psql -X -h /tmp -d "$PGDATABASE" -U "$PGUSER" -c 'select 1' >/dev/null 2>&1 && return
    sleep 0.5
  done
  return 1
}

# Nothing was written after that moment: the end of what the archive has is that moment, unless there
# is a gap, which another era of the same database follows.
if ! started; then
  grep -q 'recovery ended before configured recovery target was reached' /tmp/log || refuse 1 "$(tail -n 20 /tmp/log)"
  [ "$has" = whole ] || refuse 65 'the archive does not follow the database, and ends before that moment'
  [ "$era" = "$newest_era" ] || refuse 65 "the archive has a gap after $(stat -c %y "$era/wal" | cut -d. -f1)"
  sed -i '/^recovery_target_time/d' $data/postgresql.auto.conf
  started || refuse 1 "$(tail -n 20 /tmp/log)"
fi
psql -X -q -h /tmp -d "$PGDATABASE" -U "$PGUSER" <<'SQL'
\getenv password SUPERUSER_PASSWORD
alter role current_user password :'password';
SQL
touch /tmp/ready
(sleep 43200 && kill $server) & # should who asked for it be killed
trap 'kill $server' TERM INT
wait $server
