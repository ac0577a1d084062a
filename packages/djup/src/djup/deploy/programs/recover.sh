#!/bin/sh
# A server of its own with the database as it was at a moment, made of what the archive has.
#   recover.sh 20261128T140305Z '2026-11-28 14:03:05+00' SYSTEM
# The moment in both ways, and the identifier of the database that is there now: it has written since.
# Ends with 65 if the archive does not have that moment, 66 if another version of PostgreSQL wrote it.
set -eu
umask 077
key=$1 moment=$2 system=$3
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

# Of names that begin with a time, those before the second of the moment, sorted.
until_then() { awk -F/ -v key="$key" '{ split($NF, name, "-") } name[1] < key' | sort; }

# The era of that moment; and in it, every copy that was complete by then.
eras=$(find /archive -mindepth 1 -maxdepth 1 -name '*Z-*' | sort)
[ -n "$eras" ] || refuse 65 'the archive is empty'
era=$(echo "$eras" | until_then | tail -n 1)
[ -n "$era" ] || refuse 65 "the archive begins with $(basename "$(echo "$eras" | head -n 1)" | cut -d- -f1)"
copies=$(find "$era/base" -mindepth 1 -maxdepth 1 -name '*Z-*' | sort)
chosen=$(echo "$copies" | until_then)
[ -n "$chosen" ] || refuse 65 "the archive begins with $(basename "$(echo "$copies" | head -n 1)" | cut -d- -f1) here: it has no copy from before"
version=$(cat "$(echo "$chosen" | tail -n 1)/PG_VERSION")
[ "$version" = "$PG_MAJOR" ] || refuse 66 "PostgreSQL $version wrote that part of the archive, and this is $PG_MAJOR"

# The full copy, and what was added to it since.
chain=$(echo "$chosen" | awk '/-full$/ { chain = "" } { chain = chain " " $0 } END { print chain }')
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
ssl = off
archive_mode = off
synchronous_standby_names = ''
logging_collector = off
log_destination = 'stderr'
lc_messages = 'C'
max_parallel_workers_per_gather = 0
$([ "$PG_MAJOR" -lt 17 ] || echo 'summarize_wal = off')
CONF
touch $data/recovery.signal

ask() { psql -X -q -v ON_ERROR_STOP=1 -h /tmp -U "$PGUSER" -d "$@"; }

# Until the server lets somebody in; a database, or a user, that was not there then never comes.
started() {
  postgres -D $data >/tmp/log 2>&1 &
  server=$!
  while kill -0 $server 2>/dev/null; do
    said=$(ask template1 -c 'select 1' 2>&1 >/dev/null) && return
    case $said in *'does not exist'*'role'* | *'role'*'does not exist'*) refuse 65 "$said" ;; esac
    sleep 0.5
  done
  return 1
}

# A database that is there now has written since, and so the archive reaches that moment or has a gap.
# Of one that is lost, the end of the archive is that moment, unless another era of it follows.
if ! started; then
  grep -q 'recovery ended before configured recovery target was reached' /tmp/log || refuse 1 "$(tail -n 20 /tmp/log)"
  [ "${era##*-}" != "$system" ] || refuse 65 'the archive ends before that moment: it has a gap, or does not follow'
  [ "$era" = "$(echo "$eras" | grep -e "-${era##*-}\$" | tail -n 1)" ] || refuse 65 'the archive has a gap there'
  sed -i '/^recovery_target_time/d' $data/postgresql.auto.conf
  started || refuse 1 "$(tail -n 20 /tmp/log)"
fi
said=$(ask "$PGDATABASE" -c 'select 1' 2>&1 >/dev/null) || refuse 65 "$said. Name an earlier moment"
ask "$PGDATABASE" <<'SQL' || refuse 1 'the password could not be set'
\getenv password SUPERUSER_PASSWORD
alter role current_user password :'password';
SQL
touch /tmp/ready
(sleep 43200 && kill -INT $server) & # should who asked for it be killed
trap 'kill -INT $server' TERM INT
wait $server
