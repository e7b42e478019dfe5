#!/usr/bin/env bash
# outboxctl_consumers.sh — seek, pause, resume and remove, and what a relay that runs makes of them.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

hook=(--webhook-secret-file "$TMP/secret" --backoff "20ms,100ms" --timeout 5s)
new_database
receiver
emit 10

# ---- seek ----

relay --webhook "$URL" "${hook[@]}" --once
is "ten events are delivered, and reclaimed from outbox" "$code $(acked webhook) $(sql 'SELECT count(*) FROM outbox')" "0 10 0"
ctl consumers seek webhook 4 --dry-run
is "a dry run ends well" "$code" 0
like "says what would be" "$(cat "$TMP/said")" "it will be given: 7, of which 7 are owed again"
is "and changes nothing" "$(acked webhook) $(sql 'SELECT count(*) FROM outbox') $(sql 'SELECT count(*) FROM outbox_audit')" "10 0 0"
ctl consumers seek webhook 4
is "without --yes, and nobody to ask, it is refused" "$code $(acked webhook)" "2 10"
like "with the reason" "$(cat "$TMP/said")" "--yes"
ctl consumers seek webhook 4 --yes
is "seek makes 4 the next one" "$code $(acked webhook)" "0 3"
is "what had left outbox is owed again" "$(sql 'SELECT group_concat(seq) FROM outbox')" "4,5,6,7,8,9,10"
relay --webhook "$URL" "${hook[@]}" --once
is "and is delivered again, under the same ids" \
    "$code $(requests) $(jq -r 'select(.arrival) | .id' "$LOG" | sort -V | uniq -c | awk '{print $1}' | tr '\n' ' ')" \
    "0 17 1 1 1 2 2 2 2 2 2 2 "
is "who did it is on record" "$(sql "SELECT action, consumer, seq, detail FROM outbox_audit")" \
    "seek|webhook|4|it had acknowledged 10"

if command -v script >/dev/null; then
    answer() { script -qec "outboxctl --db '$DB' consumers seek webhook 4" /dev/null <<<"$1" >"$TMP/terminal" 2>&1; }
    answer n
    is "on a terminal it asks, and no is no" "$? $(acked webhook)" "1 10"
    answer y
    is "and yes is yes" "$? $(acked webhook)" "0 3"
    like "told before it is asked" "$(tr -d '\r\n' <"$TMP/terminal")" "owed again from change_logoutboxctl: go on? [y/N]"
    ctl consumers seek webhook 11 --yes
else
    skip "on a terminal it asks" "there is no script(1)"
fi
ctl consumers seek webhook 12 --yes
is "a seq that is not there yet is bad input" "$code $(acked webhook)" "2 10"
ctl consumers seek webhook 11 --yes
is "the one that comes next is not" "$code" 0
ctl consumers seek webhook sideways --yes
is "nor is it a word" "$code" 2
ctl consumers seek nobody 3 --yes
is "an unknown consumer is a no" "$code" 1
like "which names those there are" "$(cat "$TMP/said")" "there are: webhook"

sql "DELETE FROM change_log WHERE seq IN (2, 3, 6)"
ctl consumers seek webhook 1 --yes
is "further back than change_log goes is for good" "$code $(acked webhook)" "100 10"
like "the first one behind its last hole is named" "$(cat "$TMP/said")" "the first one available is 7"
ctl consumers seek webhook 6 --yes
is "a hole is no place either" "$code" 100
ctl consumers seek webhook 7 --yes
is "that first one is" "$code $(acked webhook)" "0 6"
ctl consumers seek webhook now --yes --json
is "now skips what was owed" "$code $(acked webhook) $(jq -c '[.next_seq, .skipped, .dry_run]' "$TMP/printed")" "0 10 [11,4,false]"
sql "DELETE FROM outbox WHERE seq < 9"
ctl consumers seek webhook start --yes
is "start is the oldest event owed" "$code $(acked webhook)" "0 8"
ctl consumers seek webhook now --yes

# An event each that a filter or failure set aside, before and behind the new place.
sql "INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, next_attempt_at)
     VALUES ('webhook', 7, 'orders/x', 'dead', 3, 0), ('webhook', 9, 'orders/y', 'dead', 3, 0), ('other', 9, 'z', 'dead', 1, 0)"
ctl consumers seek webhook 8 --yes
is "deliveries that stepped aside behind the new place are forgotten, no others" \
    "$code $(sql "SELECT group_concat(consumer || seq) FROM (SELECT * FROM failed_deliveries ORDER BY 1)")" "0 other9,webhook7"
sql "DELETE FROM failed_deliveries"

# ---- A relay that runs ----

relay --webhook "$URL" "${hook[@]}" --once
start live --webhook "$URL" "${hook[@]}"
emit 5
ok "a relay runs" await 10 is_acked webhook 15
before=$(requests)
ctl consumers seek webhook 12 --yes
ok "seek moves it while it runs" await 10 has_requests $((before + 4))
ok "and it goes on to the end" await 10 is_acked webhook 15

ctl consumers pause webhook
is "pause" "$code $(sql "SELECT state FROM consumer_offsets")" "0 paused"
ok "is noticed" await 10 grep -q 'paused; to go on: outboxctl consumers resume webhook' "$TMP/live.err"
emit 3
before=$(requests)
ctl status
like "status names the command that helps" "$(cat "$TMP/printed")" "consumers resume webhook"
ctl consumers resume webhook
is "resume" "$code $(sql "SELECT state IS NULL FROM consumer_offsets")" "0 1"
ok "goes on where it was" await 10 is_acked webhook 18
is "with nothing sent meanwhile, and nothing twice" "$(requests)" $((before + 3))
ctl consumers resume webhook
is "what isn't paused stays so" "$code" 0
sql "UPDATE consumer_offsets SET state = 'disabled'"
ctl consumers resume webhook
is "resume enables what a 410 disabled" "$code $(sql "SELECT state IS NULL FROM consumer_offsets")" "0 1"

# ---- remove ----

ctl consumers remove webhook --yes
is "one that is held is not removed" "$code $(acked webhook)" "111 18"
like "its holder is named" "$(cat "$TMP/said")" "held by pid $pid"
kill -TERM "$pid"
ends "$pid"
emit 4
sql "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES ('slow', 18, 1), ('quick', 20, 1);
     INSERT INTO failed_deliveries(consumer, seq, key, state) VALUES ('slow', 5, 'k', 'dead')"
sql "UPDATE consumer_offsets SET acked_seq = 22 WHERE consumer = 'webhook'"
ctl consumers remove slow --dry-run
is "a dry run of remove changes nothing" "$code $(acked slow)" "0 18"
ctl consumers remove slow --yes --json
is "remove takes the row and its failed deliveries, and says what only it needed" \
    "$code $(jq -c '[.released, .failed_given_up]' "$TMP/printed") $(acked slow)$(sql 'SELECT count(*) FROM failed_deliveries')" \
    "0 [2,1] 0"
ok "a webhook's relay has left its trail" test -f "$DB.webhook.trail"
ctl consumers remove webhook --yes
ok "remove takes that too" test ! -e "$DB.webhook.trail"
ctl consumers remove quick --yes
like "of the last one it says that nothing is reclaimed without one" "$(cat "$TMP/said")" "nothing is reclaimed"

start live --webhook "$URL" "${hook[@]}" --from now
ok "a relay registers" await 10 is_acked webhook 22
ctl consumers remove webhook --yes --force
is "--force removes under a relay" "$code" 0
registered_anew() { [ "$(sql "SELECT lease_token FROM consumer_offsets WHERE consumer = 'webhook'")" = 1 ]; }
ok "which registers anew" await 10 registered_anew
kill -TERM "$pid"
ends "$pid"
is "and is well" "$code" 0

# ---- Who cannot be moved ----

relay --jsonl "$TMP/events.jsonl" --once
ctl consumers seek jsonl 20 --yes
is "a stream's writer is not moved" "$code $(acked jsonl)" "100 22"
like "its file is the witness" "$(cat "$TMP/said")" "its file says how far it is"
sql "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token, kind) VALUES ('newborn', 22, 1, 'jsonl')"
ctl consumers seek newborn 20 --yes
is "nor one that has written nothing yet" "$code $(acked newborn)" "100 22"
sql "DELETE FROM consumer_offsets WHERE consumer = 'newborn'"
ctl consumers list --json
is "the list says who is of which kind" "$(jq -r '.consumer + " " + .kind' "$TMP/printed")" "jsonl jsonl
webhook webhook"
ctl consumers pause jsonl
emit 1
relay --jsonl "$TMP/events.jsonl" --once
is "but it can be paused" "$code $(acked jsonl)" "111 22"
ctl consumers resume jsonl
relay --jsonl "$TMP/events.jsonl" --once
is "and go on" "$code $(acked jsonl)" "0 23"

outboxctl --db "$DB" status >/dev/null
sql "INSERT INTO consumer_offsets(consumer, reads, acked_seq, lease_token) VALUES ('follower', '$TMP/events.jsonl', 23, 1)"
first=$(seqs "$TMP/events.jsonl" | cut -d' ' -f1)
ctl consumers seek follower "$first" --yes
is "a reader of files is moved within them" "$code $(acked follower)" "0 $((first - 1))"
ctl consumers seek follower 24 --yes
is "up to their end" "$code $(acked follower)" "0 23"
ctl consumers seek follower 25 --yes
is "and no further" "$code $(acked follower)" "2 23"
ctl consumers pause follower
is "but not paused" "$code" 100

receiver_ends
done_testing
