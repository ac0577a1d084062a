#!/bin/sh
# The service `standby`: a copy of the database on another node, which follows it and answers reads. In
# the image of PostgreSQL, by its own programs. Its volume has the name and the layout of the database's:
# where a standby was promoted, the service `db` starts on it.
#   NAME/main                the copy; with standby.signal as long as it follows
#   NAME/main.aside.TIME     data that nobody else may have: of a former primary, or ahead of this one
#   NAME/copying, replaced   a copy that is being made, and the one that it takes the place of
set -eu

# As root, the folder and its lock; then as the user of the server.
if [ -z "${PGPASSWORD:-}" ]; then
  PGPASSWORD=$(cat /run/secrets/sql_password)
  export PGPASSWORD
  home=/var/lib/postgresql
  name=$(cat "$home/active" 2>/dev/null || echo "$PG_MAJOR")
  # Data of another version stay where they are.
  if [ "$(cat "$home/$name/main/PG_VERSION" 2>/dev/null || echo "$PG_MAJOR")" != "$PG_MAJOR" ]; then
    name=$PG_MAJOR-$(date -u +%Y%m%d%H%M%S)
  fi
  # Two clusters may be in here once: which one is in use is not to be guessed by the image.
  [ -e "$home/active" ] && [ "$(cat "$home/active")" = "$name" ] || echo "$name" >"$home/active"
  export ours="$home/$name" PGDATA="$home/$name/main"
  mkdir -p "$ours"
  # Never two servers on one cluster, as in compose/db.yaml.
  exec 9>"$ours/lock"
  if command -v flock >/dev/null && ! flock -n 9; then
    echo "Another container uses the data in $ours: waiting until it ends." >&2
    trap 'exit 143' TERM
    flock 9 & wait $!
    trap - TERM
  fi
  chown postgres "$ours"
  # What compose/db.yaml and djup read.
  (. /etc/os-release && echo "$ID" >"$ours/system")
  echo "$POSTGRES_IMAGE" >"$ours/image"
  echo "$PGUSER" >"$ours/superuser"
  exec "$(command -v gosu || command -v su-exec)" postgres sh "$0"
fi

# shellcheck source=packages/djup/src/djup/deploy/programs/follow.sh
. /follow.sh
export PGAPPNAME=standby LC_ALL=C
SLOT=standby
LOOK=5       # seconds
PATIENCE=12  # looks without any progress; then another copy is made
SOON=30      # seconds: a server that ends sooner did not start
MOST_ENDS=3  # of these in a row, the same
server='' ends=0 reached='' ahead=''
is_wanted() { :; }

# Who reads is sent away; to wait for them could take hours.
stop_server() {
  [ -n "$server" ] || return 0
  kill -INT "$server" 2>/dev/null || true
  wait "$server" || true
  server=
}

ends() {
  [ -z "$worker" ] || kill "$worker" 2>/dev/null || true
  stop_server
  exit 0
}
trap ends TERM INT

# Below, each step says what comes of its failure: `set -e` does nothing in what is called after `if`.

of_copy() { pg_controldata "$PGDATA" | sed -n "s/^$1: *//p"; }
ask_copy() { psql -XAtq -v ON_ERROR_STOP=1 -h /tmp -c "$1"; }

# Its slot at the primary, by which that keeps what is not here yet.
take_slot() {
  ask "select pg_drop_replication_slot('$SLOT') from pg_replication_slots where slot_name = '$SLOT' and wal_status = 'lost'" >/dev/null &&
    ask "select pg_create_physical_replication_slot('$SLOT', true) where not exists (select from pg_replication_slots where slot_name = '$SLOT')" >/dev/null
}

# A copy of the primary, which must answer. Only when it is whole it takes the place of what was here.
make() {
  [ "$(ask 'select pg_is_in_recovery()')" = f ] || return 1
  allow_us_in && limit_what_is_kept && has_room "$ours" 1 && take_slot || return 1
  new=$ours/copying
  rm -rf "$new"
  say 'copying the database ...'
  patiently env PGAPPNAME=standby-copy pg_basebackup --dbname "$LIVELY" --pgdata "$new" --checkpoint fast \
    --wal-method stream --slot "$SLOT" --no-password || {
    rm -rf "$new"
    return 1
  }
  touch "$new/standby.signal" && make_room && mv "$new" "$PGDATA" || return 1
  ends=0 ahead=
  say 'the copy is whole, and follows'
  patiently rm -rf "$ours/replaced"
}

# Of a copy that is not ahead, the primary has all; else it is kept.
make_room() {
  [ -e "$PGDATA" ] || return 0
  if [ -e "$PGDATA/standby.signal" ] && [ -z "$ahead" ] && is_behind; then
    rm -rf "$ours/replaced" && mv "$PGDATA" "$ours/replaced"
  else
    aside=$PGDATA.aside.$(date -u +%Y%m%dT%H%M%SZ)
    mv "$PGDATA" "$aside" && say "data that the database at $PGHOST may not have are kept in $aside"
  fi
}

# Whether the primary has got as far as the copy once had: one that was put back from a snapshot has not.
is_behind() {
  last=${reached:-$(of_copy 'Minimum recovery ending location')}
  [ -n "$last" ] && [ "$(ask "select pg_current_wal_lsn() >= '$last'::pg_lsn")" = t ]
}

start_server() {
  given=$(pg_controldata "$PGDATA" | limits)
  way="host=$PGHOST port=$PGPORT user=$PGUSER application_name=standby $LIVELY"
  rm -f "$PGDATA/postmaster.pid" # of a container that was killed: the lock is ours
  # shellcheck disable=SC2086
  postgres $given -c "primary_conninfo=$way" -c "primary_slot_name=$SLOT" -c hot_standby=on \
    -c listen_addresses='*' -c port=5432 -c unix_socket_directories=/tmp &
  server=$!
}

runs() { [ -n "$server" ] && kill -0 "$server" 2>/dev/null; }

# Follow until the server ends, or follows no more and never will.
follow() {
  idle=0 before='' seen=0 begun=$(date +%s)
  start_server
  while runs; do
    pause $LOOK
    if [ -e "$PGDATA/standby.signal" ]; then
      look || break
    else
      is_left || continue # it was promoted, and is about to be stopped
      break
    fi
  done
  if runs; then
    stop_server
    return 1
  fi
  [ -z "$server" ] || wait "$server" || say 'the server has ended'
  server=
  [ $(($(date +%s) - begun)) -ge $SOON ] && ends=0 || ends=$((ends + 1))
  [ $ends -lt $MOST_ENDS ]
}

# Whether it was promoted, and the database leads again all the same: nobody wrote to this one.
is_left() {
  [ "$(ask 'select pg_is_in_recovery()')" = f ] && seen=$((seen + 1)) || seen=0
  [ $seen -ge 3 ] && say "the database at $PGHOST leads: another copy of it is made"
}

# Whether it follows, or may yet: a primary that does not answer is waited for.
look() {
  state=$(ask "select (select system_identifier from pg_control_system()), coalesce((select wal_status from pg_replication_slots where slot_name = '$SLOT'), 'none'), (select count(*) from pg_stat_replication where application_name = '$SLOT' and state = 'streaming')") ||
    return 0
  if ! is_of_this "$state"; then
    # It may be an empty one, and this the only copy of what there was.
    say "the database at $PGHOST is another one: this copy stays as it is. To follow that one, remove this volume"
    pause 55
    return 0
  fi
  # One that does not answer yet repeats what it has itself.
  position=$(ask_copy "select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), pg_last_wal_replay_lsn(), pg_is_wal_replay_paused()") ||
    return 0
  reached=${position%%|*}
  # It would be sent what it has already, in another version, and take that for well.
  comparison=$(ask "select pg_current_wal_lsn() >= '$reached'::pg_lsn") || return 0
  if [ "$comparison" = f ]; then
    ahead=yes
    say "the database at $PGHOST was put back to an earlier state than this copy has"
    return 1
  fi
  case $position in *'|t') # it has fewer connections than the primary has now
    say 'the primary has other settings: the server starts again with these'
    stop_server
    return 0
    ;;
  esac
  case $state in
  *'|lost|'*) say 'it is too far behind: the database has removed what comes next' && return 1 ;;
  *'|none|'*) take_slot || return 0 ;;
  *'|1') idle=0 && return 0 ;;
  esac
  [ "$position" = "$before" ] || idle=0
  before=$position idle=$((idle + 1))
  [ $idle -lt $PATIENCE ] || {
    say 'it does not follow, and another copy is made'
    return 1
  }
}

# Also of a copy that is so damaged that it does not tell.
is_of_this() {
  ours_is=$(of_copy 'Database system identifier')
  case $1 in "${ours_is:+$ours_is|}"*) ;; *) return 1 ;; esac
}

# A server that does not start has a copy that is damaged, or of a history that the primary has left.
again() {
  system=$(ask 'select system_identifier from pg_control_system()') || return 1
  is_of_this "$system|" && make
}

while :; do
  if [ -e "$PGDATA/standby.signal" ]; then
    follow || again || say 'it will be tried again'
  else
    make || say 'it will be tried again'
  fi
  pause 2
done
