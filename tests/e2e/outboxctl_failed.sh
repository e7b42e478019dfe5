#!/usr/bin/env bash
# outboxctl_failed.sh — dead letters found, shown, tried again and discarded, with a relay that runs and without.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

hook=(--webhook-secret-file "$TMP/secret" --backoff "20ms,100ms" --timeout 5s)
failed() { sql "SELECT group_concat(seq || state, ' ') FROM (SELECT * FROM failed_deliveries ORDER BY consumer, seq)"; }
failed_is() { [ "$(failed)" = "$1" ]; }

# Seqs 1 and 2 are of key bad, 3 of worse, 4 and 5 of good; the receiver refuses the first two keys for good.
new_database
receiver --answer 'key=orders/bad 400' --answer 'key=orders/worse 422'
emit 2 bad
emit 1 worse
emit 2 good
relay --webhook "$URL" "${hook[@]}" --once
is "two are dead, one waits" "$code $(failed)" "0 1dead 2waiting 3dead"
receiver_ends

# ---- list and show ----

listed() { jq -c .seq "$TMP/printed" | tr '\n' ' '; }
ctl failed list --json
is "all are listed" "$code $(listed)" "0 1 2 3 "
ctl failed list --json --status dead
is "by state" "$(listed)" "1 3 "
ctl failed list --json --status 422
is "by answer" "$(listed)" "3 "
ctl failed list --json --key orders/bad
is "by key, as listed" "$(listed)" "1 2 "
ctl failed list --json --key worse
is "or as the event has it" "$(listed)" "3 "
ctl failed list --json --consumer webhook 2 3
is "by consumer and seqs" "$(listed)" "2 3 "
ctl failed list --consumer nobody
is "none matches" "$code $(cat "$TMP/said")" "0 outboxctl: no failed delivery matches"
ctl failed list --status deaf
is "what is no status is bad input" "$code" 2

ctl failed show 2 --json
is "show has the delivery and its event" \
    "$code $(jq -c '[.seq, .state, .waits_for, .key, .id == .event.id, .event.payload.n]' "$TMP/printed")" \
    '0 [2,"waiting",1,"orders/bad",true,2]'
ctl failed show 3
like "and in words" "$(tr -s ' ' <"$TMP/printed")" "last status 422"
ctl failed show 99
is "one that isn't there is a no" "$code" 1

# ---- retry ----

ctl failed retry --yes
is "retry wants to be told which" "$code" 2
ctl failed retry 2 --yes
is "one that waits does not go before its dead head" "$code $(failed)" "1 1dead 2waiting 3dead"
like "which is named" "$(cat "$TMP/said")" "waits behind 1"
ctl failed retry 3
is "without --yes nothing is done" "$code $(failed)" "2 1dead 2waiting 3dead"
ctl failed retry 3 --dry-run
is "nor by a dry run" "$code $(failed)" "0 1dead 2waiting 3dead"
ctl failed retry 3 77 --yes --json
is "retry gives the attempts back" "$code $(jq .retried "$TMP/printed") $(failed)" "0 1 1dead 2waiting 3retry"
is "all of them, due now" \
    "$(sql "SELECT attempts, next_attempt_at <= 1000000 * unixepoch() + 1000000, next_attempt_at = failed_at FROM failed_deliveries WHERE seq = 3")" "0|1|1"
is "and says who did" "$(sql "SELECT action, consumer, seq, detail FROM outbox_audit")" "retry|webhook|3|deliveries: 1"

receiver
start live --webhook "$URL" "${hook[@]}"
ok "a relay takes it up when it starts" await 10 failed_is "1dead 2waiting"
ctl failed retry --all --yes
ok "and while it runs, with what waits behind it" await 10 failed_is ""
is "in the order of the key" "$code $(arrived)" "0 3 1 2 "
emit 1 bad
ok "the key goes on" await 10 is_acked webhook 6
kill -TERM "$pid"
ends "$pid"
receiver_ends

# ---- A key that has moved on ----

new_database
receiver --answer 'first=1 400' --answer 'key=orders/other 400'
emit 3 bad
emit 1 other
relay --webhook "$URL" "${hook[@]}" --on-dead skip --concurrency 1 --once
is "with --on-dead skip a key moves on without its dead letter" "$code $(failed)" "0 1dead 4dead"
ctl failed retry 1 --yes
is "retry would break its order" "$code $(failed)" "1 1dead 4dead"
like "and says up to where it is" "$(cat "$TMP/said")" "has moved on, up to 3; --out-of-order"
ctl failed retry 4 --dry-run
is "one whose key has not goes" "$code" 0
ctl failed retry 1 --out-of-order --yes
relay --webhook "$URL" "${hook[@]}" --on-dead skip --once
is "--out-of-order sends it" "$code $(failed) $(requests) $(jq -r 'select(.arrival) | .id | split("-")[1]' "$LOG" | tail -1)" "0 4dead 5 1"
receiver_ends

# ---- Attempts ----

new_database
receiver --answer 'first=2 echo=500' --answer 'key=orders/bad 429 Retry-After: 1'
emit 1 bad
relay --webhook "$URL?token=canary" "${hook[@]}" --webhook-header 'X-Token: canary-2' --keep-answer 1K --once
ctl failed show 1 --json
is "show has the attempt" "$code $(jq -c '[.tries[] | [.attempt, .status, .error, .request]]' "$TMP/printed")" \
    '0 [[1,500,"500 Internal Server Error",null]]'
is "and when it was" "$(jq -r '.tries[0].at' "$TMP/printed" | cut -c-13)" "$(date -u +%Y-%m-%dT%H)"
like "and how it was answered" "$(jq -r '.tries[0].answer' "$TMP/printed")" "webhook-id: $(jq -r .id "$TMP/printed")"
has_tried() {
    relay --webhook "$URL?token=canary" "${hook[@]}" --webhook-batch 5 --max-attempts 3 --once
    [ "$(sql 'SELECT attempts FROM failed_deliveries')" = "$1" ]
}
ok "three are made" await 10 has_tried 3
ctl failed show 1
is "in words, each on a line of its own" "$(grep -c '^  attempt [123]  *20.*Z  \(500 Int\|429 Too\)' "$TMP/printed")" 3
like "an answer escaped" "$(cat "$TMP/printed")" 'answered POST *****'
like "a batch by its id" "$(cat "$TMP/printed")" "in the batch $(sql "SELECT value FROM outbox_meta WHERE name = 'source'")-1-1-"
is "and no secret" "$(sql "SELECT count(*) FROM failed_attempts WHERE instr(answer, 'canary') OR instr(error, 'canary')")" 0
ctl failed discard 1 --yes
is "what is discarded leaves none behind" "$code $(sql 'SELECT count(*) FROM failed_attempts')" "0 0"
receiver_ends

# ---- discard ----

new_database
receiver --answer 'first=1 400'
emit 3 bad
start live --webhook "$URL" "${hook[@]}"
ok "a dead letter parks its key" await 10 failed_is "1dead 2waiting 3waiting"
ctl failed discard 1 --reason 'asked by shop' --dry-run
is "a dry run discards nothing" "$code $(failed)" "0 1dead 2waiting 3waiting"
ctl failed discard 1 --reason 'asked by shop' --yes
is "discard" "$code" 0
ok "lets those behind it go, under a relay that runs" await 10 failed_is ""
is "without it" "$(arrived)" "1 2 3 "
like "it is on record" "$(sql "SELECT action, consumer, seq, key, detail FROM outbox_audit WHERE action = 'discard'")" \
    "discard|webhook|1|orders/bad|asked by shop; dead, attempts: 1"
ctl failed discard --all --yes
is "when nothing has failed all of it is done" "$code" 0
ctl failed discard 1 --yes
is "but one that isn't there is a no" "$code" 1
kill -TERM "$pid"
ends "$pid"
receiver_ends

done_testing
