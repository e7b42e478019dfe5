#!/usr/bin/env bash
# webhook_kill.sh — kill -9 of the relay, again and again, while a receiver misbehaves and writers write: every event
# arrives at least once or is dead by rule, and each key's order holds.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

KILLS=12
hook=(--webhook-secret-file "$TMP/secret" --backoff "10ms,50ms" --timeout 500ms --concurrency 8 --max-attempts 50)

# write_some N: 3 × 40 events over 15 keys, each writer in its own transactions.
write_some() {
    local writers=()
    for writer in 1 2 3; do
        for part in 1 2; do
            sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
                 INSERT INTO outbox_events(topic, key, payload)
                 SELECT 'orders', 'w$writer-' || (i % 5), json_array($1, $part, i) FROM n"
        done &
        writers+=($!)
    done
    wait "${writers[@]}"
}

new_database
# Each event's first attempt fares by its key; the others are answered 200.
receiver --answer 'key=orders/w1-1 delay=3 200' --answer 'key=orders/refused 422' --answer 'first=25 500' \
    --answer 'key=orders/w2-2 delay=20 200'
emit 1 refused
for round in $(seq "$KILLS"); do
    before=$(requests)
    start "run$round" --webhook "$URL" "${hook[@]}"
    write_some "$round"
    await 20 has_requests $((before + 10 + RANDOM % 60)) || fail "round $round makes progress"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
done
total=$((KILLS * 120 + 1))
start last --webhook "$URL" "${hook[@]}"
settled() { is_acked webhook "$total" && [ "$(sql "SELECT count(*) FROM failed_deliveries WHERE state <> 'dead'")" = 0 ]; }
ok "after $KILLS kills everything is settled" await 60 settled
kill -TERM "$pid"
ends "$pid"
is "the relay ends well" "$code" 0
is "every event arrived" "$(arrived | tr ' ' '\n' | grep -c .)" "$total"
is "the refused one is dead, and nothing else" "$(sql "SELECT group_concat(seq || state) FROM failed_deliveries")" "1dead"
is "each key in order, never two at once" "$(disorder)" ""
is "every request is signed" "$(grep '"arrival"' "$LOG" | grep -vc '"signature":"ok"')" 0
repeats=$(($(requests) - total - 25))
echo "# $repeats repeats over $KILLS kills"
receiver_ends

done_testing
