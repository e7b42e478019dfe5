#!/usr/bin/env bash
# relay_takeover.sh — two relays never fight: the second waits, takes over at once, and no token is used twice.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

new_database
emit 10
start first --stdout --consumer c
first=$pid
ok "the first relay delivers" await 10 is_acked c 10
start second --stdout --consumer c
second=$pid
ok "the second one waits and names the first" await 10 grep -q "held by pid $first " "$TMP/second.err"
relay --stdout --consumer c --once
is "with --once it is 111" "$code" 111
emit 1
ok "the first goes on" await 10 is_acked c 11
is "the second delivers nothing meanwhile" "$(cat "$TMP/second.out")" ""

kill -KILL "$first"
wait "$first" 2>/dev/null
emit 5
ok "after kill -9 the second takes over" await 5 is_acked c 16
is "each event was delivered once" "$(seqs "$TMP/first.out")$(seqs "$TMP/second.out")" "$(seq 1 16 | tr '\n' ' ')"
is "under a new token" "$(sql "SELECT lease_token FROM consumer_offsets")" 2

# A seek is a new token: what the relay still says under the old one must not undo it.
kill -STOP "$second"
emit 3
sql "UPDATE consumer_offsets SET acked_seq = 12, lease_token = lease_token + 1;
     INSERT INTO outbox SELECT seq FROM change_log WHERE seq > 12 AND seq NOT IN (SELECT seq FROM outbox)"
kill -CONT "$second"
ok "a moved cursor is gone to" await 10 is_acked c 19
is "from there on" "$(seqs "$TMP/second.out" | cut -d' ' -f6-)" "$(seq 13 19 | tr '\n' ' ')"

# 20 kills under a writer: nothing missing, nothing out of order within a run.
kill -TERM "$second"
ends "$second"
(for _ in $(seq 60); do emit 5; done) &
writer=$!
: >"$TMP/all"
for i in $(seq 20); do
    start "run$i" --stdout --consumer c
    read -rt "0.0$((i % 7 + 1))" <> <(:)
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    cat "$TMP/run$i.out" >>"$TMP/all"
done
wait "$writer"
relay --stdout --consumer c --once
cat "$TMP/out" >>"$TMP/all"
is "after 20 kills the last run drains" "$code $(acked c)" "0 319"
is "every event was delivered" "$(sed -nE 's/^\{"seq":([0-9]+),.*\}$/\1/p' "$TMP/all" | sort -nu | tr '\n' ' ')" "$(seq 20 319 | tr '\n' ' ')"
is "and the database is whole" "$(sql 'PRAGMA integrity_check')" ok
done_testing
