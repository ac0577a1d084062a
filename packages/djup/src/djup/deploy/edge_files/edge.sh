#!/bin/sh
# The proxy of several sites. One Caddy answers visitors, and is never told anything new: it looks each
# name up in files. Another one, which nobody outside reaches, gets the certificates. What changes is asked
# for each second, so that a new node, or one that was away, has it as well; what came last is kept, so that
# this one serves without being told.
set -u
umask 077
socket=/tmp/caddy.sock # inside this container alone
certificates=/config/certificates
mkdir -p /config/live /config/new "$certificates"
cd /config || exit 1
[ -s live/Caddyfile ] || printf '{\n\tadmin unix/%s\n}\n' "$socket" >live/Caddyfile

fetch() { wget -q -Y off -T 5 -O "$2.part" "http://tasks.routes:8080/$1" 2>/dev/null && mv "$2.part" "$2"; }
named() { grep -o "$certificates/[A-Za-z0-9._-]*" "$1" | sort -u; }

update() {
  other=
  for file in Caddyfile certs.txt hosts.txt; do
    fetch "$file" "new/$file" || return 0 # those that it has are good
    cmp -s "new/$file" "live/$file" || other=1
  done
  [ "$other" ] || return 0
  for file in $(named new/certs.txt); do
    [ -s "$file" ] || fetch "${file##*/}" "$file" || return 1
  done
  caddy reload --config new/Caddyfile --adapter caddyfile --address "unix/$socket" || return 1
  for file in Caddyfile certs.txt hosts.txt; do mv "new/$file" "live/$file"; done
  # The keys of a site that has left are not ours to keep.
  for file in "$certificates"/*; do
    named live/certs.txt | grep -qxF "$file" || rm -f "$file"
  done
}

issue() {
  caddy run --config live/Caddyfile --adapter caddyfile &
  issuer=$!
}
pause() {
  sleep "$1" &
  wait $!
}

caddy run --config /etc/edge/Caddyfile --adapter caddyfile &
caddy=$!
issue
trap 'kill -TERM "$caddy" "$issuer"; wait "$caddy"; exit' TERM INT
while kill -0 "$caddy" 2>/dev/null; do
  pause 1
  kill -0 "$issuer" 2>/dev/null || issue
  [ ! -S "$socket" ] || update || pause 5
done
wait "$caddy"
