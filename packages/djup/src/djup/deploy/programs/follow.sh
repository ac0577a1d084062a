#!/bin/sh
# What archive.sh, standby.sh and upgrade.sh have in common: each follows the database.
# shellcheck disable=SC2034
export PGCONNECT_TIMEOUT=10
SPARE=1048576 # kB of disk that a copy leaves free
# A node that is gone closes no connection.
LIVELY='keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000'
worker=''

say() { echo "$(date -u '+%Y-%m-%d %H:%M:%S') $*" >&2; }
ask() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

# The health check looks at this file.
pause() {
  touch /tmp/alive
  sleep "$1" &
  wait $! || true
}

# Run a command that may take hours, and be seen to be alive meanwhile; for as long as `is_wanted`.
patiently() {
  "$@" &
  worker=$!
  while kill -0 "$worker" 2>/dev/null; do
    pause 1
    is_wanted || kill "$worker" 2>/dev/null || true
  done
  child=$worker worker=
  wait "$child"
}

# The image lets in who reads and writes, and not who follows: a line more, and no restart for it.
allow_us_in() {
  rules=$(ask "select count(*) from pg_hba_file_rules where database @> '{replication}' and user_name @> '{all}' and address = 'all' and error is null") ||
    return 1
  [ "$rules" = 0 ] || return 0
  psql -XAtq -v ON_ERROR_STOP=1 <<'SQL' || return 1
select format('copy (select %L) to program %L', 'host replication all all scram-sha-256',
  '{ echo; cat; } >>''' || current_setting('hba_file') || '''') \gexec
SQL
  ask 'select pg_reload_conf()' >/dev/null
}

# Without a limit, changes that nobody takes away would fill the disk of the database; beyond it they are
# removed there, and who follows begins again.
limit_what_is_kept() {
  limit=$(ask "select setting from pg_settings where name = 'max_slot_wal_keep_size'") || return 1
  [ "$limit" != -1 ] || ask "alter system set max_slot_wal_keep_size = '$MOST_KEPT'" || return 1
  ask 'select pg_reload_conf()' >/dev/null
}

# Whether a folder has room for a copy of the whole; its share of it is 1/$2.
has_room() {
  needed=$(ask 'select (sum(pg_database_size(oid)) * 1.25 / 1024)::bigint from pg_database') || return 1
  needed=$((needed / $2))
  free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
  [ "$free" -gt $((needed + SPARE)) ] && return
  say "too little disk for a copy: $free kB are free, $((needed + SPARE)) kB are needed"
  return 1
}

# Of what pg_controldata says of a copy: the limits of the primary, however it was told, as a server takes
# them. With less, a standby does not start.
limits() { sed -n '/^max_.* setting:/{s/ setting: */=/;s/xact/transaction/;s/^/-c /;p;}'; }
