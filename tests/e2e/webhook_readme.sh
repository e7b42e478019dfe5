#!/usr/bin/env bash
# webhook_readme.sh — README's words about webhooks, as they stand but for the receiver's address: filter and transform,
# rotation, public addresses only, batches, dead letters, a receiver that is gone.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

# block WORD: the fenced block of shell that holds it, with an address of ours.
block() {
    awk -v word="$1" '/^```/ { if (inside && index(text, word)) printf "%s", text; inside = !inside; text = ""; next }
                      inside { text = text $0 "\n" }' "$ROOT/README.md" | sed "s|https://example.com/hook|$URL|"
}

# run WORD [MORE]: that block, its relay in the background with MORE arguments; $pid.
run() {
    block "$1" >"$TMP/block.sh"
    sed "\$s|\$| ${2-} \&|" "$TMP/block.sh" >"$TMP/run.sh" # the relay is the block's last command
    . "$TMP/run.sh" 2>"$TMP/relay.err"
    pid=$!
}

relay_ends() {
    kill -TERM "$pid"
    ends "$pid"
}

cd "$TMP" || exit 1
new_database
receiver --answer 'key=orders/refused 400' --answer 'key=orders/gone 410'
sql "INSERT INTO outbox_events(topic, key, payload) VALUES ('orders', 'o-1', '{\"total\":1,\"card\":\"4111\"}'),
     ('mail', 'm-1', '{\"to\":\"ann\"}')"
ok "the block is there" test -n "$(block '--transform')"
run '--transform'
ok "what the filter names is delivered" await 10 is_acked webhook 2
is "and nothing else, without what the transform hides" "$(jq -r 'select(.arrival) | .body | fromjson | .data | tojson' "$LOG")" '{"total":1}'
like "signed" "$(jq -r 'select(.arrival) | .head' "$LOG")" "webhook-signature: v1,"

old=$(cat hook.secret)
block 'hook.new' | sed "s/pkill -HUP outbox-relay/kill -HUP $pid/" >rotate.sh
. ./rotate.sh
is "the rotated file has two secrets, the new one first" "$(wc -l <hook.secret) $(sed -n 2p hook.secret)" "2 $old"
is "and is nobody else's to read" "$(stat -c %a hook.secret)" 600
ok "SIGHUP reads it" await 10 grep -q 'settings read again' "$TMP/relay.err"
emit 1 refused
emit 2 refused
is_dead() { [ "$(sql "SELECT state FROM failed_deliveries WHERE seq = 3")" = dead ]; }
ok "a refused event is a dead letter" await 10 is_dead
is "signed twice" "$(jq -r 'select(.arrival == 2) | .head' "$LOG" | grep -o 'v1,' | wc -l)" 2
is "the later ones of its key wait" "$(sql "SELECT group_concat(seq || state, ' ') FROM failed_deliveries")" "3dead 4waiting 5waiting"
like "failed show has the attempt" "$(outboxctl --db "$DB" failed show 3)" "400"
emit 1 gone
is_disabled() { [ "$(sql "SELECT state FROM consumer_offsets WHERE consumer = 'webhook'")" = disabled ]; }
ok "410 stops the endpoint" await 10 is_disabled
relay_ends
receiver_ends
receiver --port "$PORT"
resume=$(grep -o 'outboxctl consumers resume webhook' "$ROOT/README.md" | head -n 1)
${resume/outboxctl/outboxctl --db $DB} --yes >/dev/null 2>&1
run '--transform'
ok "until it is resumed" await 10 is_acked webhook 6
relay_ends

emit 1 inside
run '--public-only'
ok "an address inside is none for --public-only" await 10 grep -q 'it is no public address' "$TMP/relay.err"
relay_ends
emit 40 batch
before=$(requests)
run '--public-only' '--allow-address 127.0.0.1'
ok "but where --allow-address names it" await 10 is_acked customer-7 "$(sql 'SELECT max(seq) FROM change_log')"
is "several events go in one request" "$(($(requests) - before))" 1
relay_ends
receiver_ends
done_testing
