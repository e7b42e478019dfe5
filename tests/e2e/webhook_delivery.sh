#!/usr/bin/env bash
# webhook_delivery.sh — outbox-relay to a webhook: delivered, signed, in order; and what it does about receivers that
# refuse, fail, are gone or are not there.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

hook=(--webhook-secret-file "$TMP/secret" --backoff "20ms,100ms" --timeout 5s)

new_database
receiver
emit 20 a
emit 20 b
relay --webhook "$URL" "${hook[@]}" --once
is "a backlog is delivered" "$code $(acked webhook) $(requests)" "0 40 40"
is "every request is signed" "$(grep -c '"signature":"ok"' "$LOG")" 40
is "each key is in order, one at a time" "$(disorder)" ""
relay --webhook "$URL" "${hook[@]}" --once
is "nothing is sent twice" "$code $(requests)" "0 40"

start live --webhook "$URL" "${hook[@]}"
emit 5 c
ok "new events follow while it runs" await 10 has_requests 45
kill -TERM "$pid"
ends "$pid"
is "SIGTERM ends it with all acknowledged" "$code $(acked webhook)" "0 45"
receiver_ends

new_database
receiver --answer 'key=orders/bad 400' --answer 'key=orders/poison 500'
emit 2 bad
emit 2 poison
emit 10 good
relay --webhook "$URL" "${hook[@]}" --max-attempts 3 --once
is "--once does not wait out a backoff" "$code" 111
like "and says what is left" "$(cat "$TMP/err")" "left to be tried again"
is "a refused event is dead, the next of its key waits, all else is delivered" \
    "$(acked webhook) $(sql "SELECT group_concat(seq || state, ' ') FROM failed_deliveries WHERE key LIKE '%bad'")" "14 1dead 2waiting"
start live --webhook "$URL" "${hook[@]}" --max-attempts 3
is_dead() { [ "$(sql 'SELECT state FROM failed_deliveries WHERE seq = 3')" = dead ]; }
ok "a poison event is dead after its attempts" await 20 is_dead
kill -TERM "$pid"
ends "$pid"
is "which were counted over the restart" "$(jq -r 'select(.id | endswith("-3")) | .attempt' "$LOG" 2>/dev/null | tail -1)" 3
relay --webhook "$URL" "${hook[@]}" --once
is "dead and parked events are no reason to come back" "$code" 0
receiver_ends

new_database
receiver --answer 'first=1 410'
emit 3 a
start live --webhook "$URL" "${hook[@]}"
is_disabled() { [ "$(sql "SELECT state FROM consumer_offsets WHERE consumer = 'webhook'")" = disabled ]; }
ok "410 disables the consumer" await 10 is_disabled
emit 3 b
ok "and says so" await 10 grep -q "410 Gone" "$TMP/live.err"
is "nothing more is sent" "$(requests)" 1
sql "UPDATE consumer_offsets SET state = NULL WHERE consumer = 'webhook'"
ok "until an operator resumes it: then nothing is missing" await 20 is_acked webhook 6
kill -TERM "$pid"
ends "$pid"
receiver_ends

# An operator's program may be so fast that nobody sees the consumer disabled: here it is in the same transaction.
new_database
sql "CREATE TRIGGER faster AFTER UPDATE OF state ON consumer_offsets WHEN new.state = 'disabled'
     BEGIN UPDATE consumer_offsets SET state = NULL WHERE consumer = new.consumer; END"
receiver --answer 'first=2 410'
emit 1500
sql "UPDATE change_log SET key = 'k' || (seq % 300)"
start live --webhook "$URL" "${hook[@]}" --concurrency 1
ok "one that is resumed at once goes on at once" await 20 is_acked webhook 1500
kill -TERM "$pid"
ends "$pid"
is "and ends well" "$code" 0
receiver_ends

new_database
emit 50 a
sql "UPDATE change_log SET key = 'k' || (seq % 10)"
relay --webhook "$URL" "${hook[@]}" --once
is "a receiver that is not there is a reason to come back" "$code" 111
is "and burns nothing" "$(sql "SELECT count(*) FROM failed_deliveries WHERE state = 'dead'")" 0
start live --webhook "$URL" "${hook[@]}"
receiver --port "$PORT" # the same port, now with somebody behind it
ok "when it comes back everything is delivered" await 30 is_acked webhook 50
no_failures() { [ "$(sql 'SELECT count(*) FROM failed_deliveries')" = 0 ]; }
ok "what had stepped aside too" await 10 no_failures
is "in order per key" "$(disorder)" ""
kill -TERM "$pid"
ends "$pid"
is "and the relay ends well" "$code" 0
receiver_ends

done_testing
