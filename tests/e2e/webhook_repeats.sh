#!/usr/bin/env bash
# webhook_repeats.sh — a kill -9 of the relay repeats the requests that were in flight, and no others: though a busy writer
# keeps every acknowledgement out of the database, and whichever system call it strikes at. KILLS=100 for the long run.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
KILLS=${KILLS:-8}

hook=(--webhook-secret-file "$TMP/secret" --backoff "10ms,50ms" --timeout 5s)
repeats() { jq -r 'select(.arrival) | .id' "$LOG" | sort | uniq -d -c | awk '{ n += $1 - 1 } END { print n + 0 }'; }
token() { sql "SELECT coalesce(max(lease_token), 0) FROM consumer_offsets"; }
has_token() { [ "$(token)" = "$1" ]; }
at_most() { [ "$1" -le "$2" ] || { echo "$1 of at most $2"; false; }; }

# ---- Acknowledgements kept out ----------------------------------------------------------------------------------------

# Has the write lock until it is killed.
hold_lock() {
    rm -f "$TMP/held"
    python3 - "$DB" "$TMP/held" <<'END' &
import signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
open(sys.argv[2], "w").write("held")
signal.pause()
END
    holder=$!
    await 10 test -s "$TMP/held"
}

new_database
receiver --answer '* delay=2 200'
total=$((KILLS * 1500))
sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $total)
     INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', i % 37, json_object('n', i) FROM n"
kept_out=0
for round in $(seq "$KILLS"); do
    before=$(requests)
    start "run$round" --webhook "$URL" "${hook[@]}" --concurrency 8
    await 10 has_token "$round" || fail "round $round takes over"
    hold_lock
    acked=$(acked webhook)
    await 10 has_requests $((before + 60 + RANDOM % 200)) || fail "round $round makes progress"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    [ "$(acked webhook)" != "$acked" ] || kept_out=$((kept_out + $(requests) - before))
    kill -KILL "$holder"
    wait "$holder" 2>/dev/null
done
ok "many were delivered while nothing could be recorded" test "$kept_out" -ge $((KILLS * 50))
start last --webhook "$URL" "${hook[@]}" --concurrency 8
ok "after $KILLS kills everything is acknowledged" await 30 is_acked webhook "$total"
kill -TERM "$pid"
ends "$pid"
is "every event arrived" "$(arrived | tr ' ' '\n' | grep -c .)" "$total"
is "each key in order, never two at once" "$(disorder)" ""
ok "only what was in flight came twice: 8 of a kill, at most" at_most "$(repeats)" $((KILLS * 8))
echo "# $(repeats) repeats over $KILLS kills with 8 in flight"
is "in the end the trail is empty" "$code $(stat -c %s "$DB.webhook.trail")" "0 0"
receiver_ends

# ---- At a system call -------------------------------------------------------------------------------------------------

new_database
receiver
emit 400 a
rounds=0
for call in recvfrom sendto pwrite64 poll write; do
    for _ in $(seq $((KILLS / 4))); do
        {
            strace -qq -f -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$((RANDOM % 25 + 3))" \
                outbox-relay --db "$DB" --webhook "$URL" "${hook[@]}" --concurrency 1 --once
            [ $? -lt 128 ] || rounds=$((rounds + 1))
        } 2>/dev/null
    done
done
ok "the kills strike" test "$rounds" -ge $((KILLS / 2))
relay --webhook "$URL" "${hook[@]}" --concurrency 1 --once
is "then everything is delivered" "$code $(acked webhook) $(arrived | tr ' ' '\n' | grep -c .)" "0 400 400"
is "in order" "$(disorder)" ""
ok "with one in flight a kill repeats one at most" at_most "$(repeats)" "$rounds"
echo "# $(repeats) repeats over $rounds kills with one in flight"
receiver_ends

done_testing
