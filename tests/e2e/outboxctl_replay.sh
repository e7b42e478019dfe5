#!/usr/bin/env bash
# outboxctl_replay.sh — a range sent again beside the cursor, under the same ids and in order.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

hook=(--webhook-secret-file "$TMP/secret" --backoff "20ms,100ms" --timeout 5s)
sent() { jq -r 'select(.arrival) | .id | split("-")[1]' "$LOG" | tail -n "+$1" | tr '\n' ' '; }
aside() { sql 'SELECT count(*) FROM failed_deliveries'; }
none_aside() { [ "$(aside)" = 0 ]; }

new_database
receiver
emit 5 a
emit 5 b
relay --webhook "$URL" "${hook[@]}" --once
is "ten are delivered" "$code $(acked webhook) $(requests)" "0 10 10"

ctl replay --consumer webhook --from 3 --to 7
is "nothing is done without --yes" "$code $(aside)" "2 0"
ctl replay --consumer webhook --from 3 --to 7 --dry-run --json
is "nor by a dry run, which counts" "$code $(jq -c '[.replayed, .dry_run]' "$TMP/printed") $(aside)" "0 [5,true] 0"
ctl replay --consumer webhook --from 3 --to 7 --yes
is "replay sets the range aside, due now" "$code $(acked webhook) $(aside)" "0 10 5"
is "to be tried, each" "$(sql 'SELECT DISTINCT state, attempts FROM failed_deliveries')" "retry|0"
ctl replay --consumer webhook --from 5 --to 8 --yes --json
is "what is there already is not there twice" "$(jq -c '[.replayed, .already_aside]' "$TMP/printed") $(aside)" "[1,3] 6"
relay --webhook "$URL" "${hook[@]}" --once
is "the relay sends it" "$code $(requests) $(aside) $(acked webhook)" "0 16 0 10"
is "under the same ids" "$(jq -r 'select(.arrival) | .id' "$LOG" | sort | uniq -d | wc -l)" 6
is "in the order of the keys" "$(sent 11 | tr ' ' '\n' | awk '$1 && $1 <= 5' | tr '\n' ' ')$(sent 11 | tr ' ' '\n' | awk '$1 > 5' | tr '\n' ' ')" "3 4 5 6 7 8 "
is "it is on record" "$(sql "SELECT consumer, seq, detail FROM outbox_audit WHERE action = 'replay' LIMIT 1")" "webhook|3|up to 7, events: 5"

start live --webhook "$URL" "${hook[@]}"
emit 1 a
ok "a relay runs" await 10 is_acked webhook 11
ctl replay --consumer webhook --from 9 --yes
ok "which takes a replay up at once, to the cursor where no end is given" await 10 has_requests 20
ok "and is through with it" await 10 none_aside
is "beside the cursor" "$(acked webhook) $(sent 18 | tr ' ' '\n' | sort -n | xargs)" "11 9 10 11"
kill -TERM "$pid"
ends "$pid"

ctl replay --consumer webhook --from 10 --to 12 --yes
is "what is still to come is not replayed" "$code $(aside)" "2 0"
ctl replay --consumer webhook --from 7 --to 6 --yes
is "nor is what is no range" "$code" 2
ctl replay --consumer webhook --from 0 --yes
is "nor from nothing" "$code" 2
ctl replay --from 3 --yes
is "nor for nobody" "$code" 2
sql 'DELETE FROM change_log WHERE seq < 5'
ctl replay --consumer webhook --from 2 --to 8 --yes
is "nor what change_log no longer has" "$code $(aside)" "100 0"
like "the first one available is named" "$(cat "$TMP/said")" "is 5"
ctl replay --consumer webhook --from 2 --to 4 --yes
is "if there is one" "$code" 100

sql "INSERT INTO consumer_offsets(consumer, acked_seq, lease_owner, lease_token) VALUES ('program', 9, 'reader pid 7', 1)"
sql "UPDATE consumer_offsets SET kind = 'reader' WHERE consumer = 'program'"
ctl replay --consumer program --from 6 --yes
is "a program's own reader takes none" "$code $(aside)" "100 0"
relay --jsonl "$TMP/events.jsonl" --once
emit 1
relay --jsonl "$TMP/events.jsonl" --once
ctl replay --consumer jsonl --from 12 --yes
is "and a stream's writer writes nothing twice" "$code $(aside)" "100 0"
relay --exec 'cat >/dev/null' --once
ctl replay --consumer exec --from 12 --yes
is "nor does what has only a cursor" "$code $(aside)" "100 0"
like "which is said with the way" "$(cat "$TMP/said")" "of kind exec, which takes events by its cursor alone: outboxctl consumers seek exec"
sql "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES ('nobodys', 12)"
ctl replay --consumer nobodys --from 12 --yes
is "nor a consumer for whom nobody has worked" "$code $(aside)" "100 0"

receiver_ends
done_testing
