#!/usr/bin/env bash
# relay_log.sh — each line of the log that is about one consumer names that consumer, whatever its sink is called.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

logged=(--once --log-format json --log-level debug --consumer shop)

# The consumers in FILE's log, each once; and every line is JSON.
named() { jq -r 'select(.consumer) | .consumer' "$1" | sort -u | tr '\n' ' '; }
outcomes() { jq -r 'select(.outcome) | .outcome' "$TMP/err" | sort -u | tr '\n' ' '; }

new_database
sql "INSERT INTO outbox_events(topic, payload) VALUES ('odd', '{')" # worth a line of its own, whoever gets it
for sink in "--jsonl $TMP/events.jsonl" "--stdout" "--exec cat"; do
    sql "DELETE FROM consumer_offsets"
    # shellcheck disable=SC2086 # two words
    relay "${logged[@]}" --from 1 $sink
    is "of ${sink%% *}: what is logged of an event is its consumer's" "$code $(outcomes)$(named "$TMP/err")" "0 delivered shop "
done

new_database
receiver --answer 'key=orders/bad 400' --answer 'key=orders/poison 500'
emit 1 bad
emit 1 poison
emit 1 good
relay "${logged[@]}" --webhook "$URL"
is "of --webhook: each outcome is" "$(outcomes)$(named "$TMP/err")" "dead delivered retry shop "
receiver_ends

new_database
receiver --answer 'first=1 410'
emit 1
relay "${logged[@]}" --webhook "$URL"
is "and its end is" "$(grep -c '410 Gone' "$TMP/err") $(named "$TMP/err")" "1 shop "
receiver_ends

# An outage, and its end, of a consumer that a config file names.
new_database
for key in 1 2 3 4; do emit 1 "$key"; done
echo "sink hook { webhook = \"$URL\" consumer = shop backoff = \"20ms,50ms\" }" >"$TMP/shop.conf"
start live --config "$TMP/shop.conf" --log-format json --log-level debug
ok "an outage is logged" await 10 grep -q "is down" "$TMP/live.err"
receiver --port "$PORT"
ok "and its end is" await 10 grep -q "answers again" "$TMP/live.err"
kill -TERM "$pid"
ends "$pid"
is "as that consumer's" "$(named "$TMP/live.err")" "shop "
receiver_ends

done_testing
