#!/usr/bin/env bash
# webhook_pause.sh — when an operator's word counts: after `consumers pause`, a removal, or a sink taken out of the
# config, what is in flight ends and no request begins, however full the sink is and whatever is due to be tried again.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

hook=(--webhook-secret-file "$TMP/secret" --backoff "20ms,100ms" --timeout 5s --max-attempts 1000000)
GRACE_US=350000 # some milliseconds, for a machine that has other things to do

# More of one slow key than is read ahead, so that nothing more is read, and a key that is tried again all the time.
full_and_failing() {
    receiver --answer 'key=orders/slow delay=700 200' --answer 'key=orders/bad 500'
    new_database
    emit 1 bad
    emit 1200 slow
}
both_are_under_way() { grep -q '"key":"orders/slow"' "$LOG" && [ "$(grep -c '"key":"orders/bad"' "$LOG")" -ge "$1" ]; }

# after COMMAND…: runs it, and waits until everything that was in flight then must have ended; how many requests began
# later than some milliseconds after its end, in $late.
after() {
    "$@" >"$TMP/said" 2>&1
    code=$?
    local returned=${EPOCHREALTIME//[!0-9]/}
    await 10 past $((returned + 1100000))
    late=$(jq "select(.arrival and .at > $((returned + GRACE_US))) | .id" "$LOG" | wc -l)
}
past() { [ "${EPOCHREALTIME//[!0-9]/}" -gt "$1" ]; }
ctl() { outboxctl --db "$DB" "$@"; }

full_and_failing
start live --webhook "$URL" "${hook[@]}"
ok "a key is slow and another fails" await 10 both_are_under_way 3
after ctl consumers pause webhook
is "after pause nothing begins: neither what was read nor what is due again" "$code $late" "0 0"
ok "what was in flight was finished first" await 5 is_acked webhook 2
before=$(requests)
ctl consumers resume webhook 2>/dev/null
ok "resume lets both go on" await 10 has_requests $((before + 3))

kill -TERM "$pid"
ends "$pid"
receiver_ends

full_and_failing
sql "DELETE FROM outbox; DELETE FROM change_log"
start live --webhook "$URL" "${hook[@]}" --from now
ok "a consumer that begins at the present" await 10 is_acked webhook 1201
emit 1 bad
emit 1200 slow
ok "has much to do" await 10 both_are_under_way 3
after ctl consumers remove webhook --yes --force
is "after remove nothing of it begins, tried before or not" "$code $late" "0 0"
is "and nothing of it is left" "$(sql 'SELECT count(*) FROM failed_deliveries') $(acked webhook)" "0 2402"
kill -TERM "$pid"
ends "$pid"
receiver_ends

full_and_failing
config() { printf 'sink other {\n    jsonl = "%s"\n}\n%s\n' "$TMP/other.jsonl" "$1" >"$TMP/relay.conf"; }
config "sink webhook {
    webhook = \"$URL\"
    secret-file = \"$TMP/secret\"
    backoff = \"20ms,100ms\"
}"
start live --config "$TMP/relay.conf"
ok "the same from a config" await 10 both_are_under_way 3
config ""
kill -HUP "$pid"
ok "without it, read again" await 10 grep -q "settings read again" "$TMP/live.err"
after true
is "nothing begins" "$late" 0
kill -TERM "$pid"
ends "$pid"
is "and the relay ends well" "$code" 0
receiver_ends

# An endpoint that is down is probed, and nothing is read meanwhile.
receiver --answer '* 500'
new_database
emit 1200
sql "UPDATE change_log SET key = 'k' || seq"
start live --webhook "$URL" "${hook[@]}"
ok "an endpoint is down" await 10 grep -q "is down, delivery pauses" "$TMP/live.err"
after ctl consumers pause webhook
is "after pause it is not asked again whether it is back" "$code $late" "0 0"
ctl consumers resume webhook 2>/dev/null
before=$(requests)
ok "after resume it is" await 10 has_requests $((before + 1))
kill -TERM "$pid"
ends "$pid"
receiver_ends

receiver --answer '* delay=700 200'
new_database
emit 20
outbox-relay --db "$DB" --webhook "$URL" "${hook[@]}" --once 2>"$TMP/live.err" &
pid=$!
ok "--once is under way" await 10 has_requests 1
after ctl consumers pause webhook
is "after pause it begins nothing either" "$code $late $(requests)" "0 0 1"
ends "$pid"
is "and ends with something left" "$code $(acked webhook)" "111 1"
receiver_ends

done_testing
