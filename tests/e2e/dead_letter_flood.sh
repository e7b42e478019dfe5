#!/usr/bin/env bash
# A writer, or a receiver, that makes dead letters by the ten thousand: they are an alarm, and none is dropped or forgotten,
# however old. S25. COUNT: how many.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
COUNT=${COUNT:-20000}

new_database
emit $((2 * COUNT))
sql "UPDATE outbox_meta SET value = 1000000 WHERE name = 'history'; -- a second
     UPDATE change_log SET created_at = 1700000000000000;
     INSERT INTO consumer_offsets(consumer, acked_seq, lease_token, kind) VALUES ('webhook', $((2 * COUNT)), 1, 'webhook'), ('jsonl', 0, 1, 'jsonl');
     INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, last_status, last_error, failed_at)
         SELECT 'webhook', seq, 'orders/k', 'dead', 1, 422, 'Unprocessable', 1700000000000000 FROM change_log WHERE seq % 2"
outboxctl --db "$DB" status >"$TMP/status" 2>&1
is 'status ends with 1' $? 1
like 'status says how many, and since when' "$(grep 'dead letter' "$TMP/status")" "alarm: webhook: $COUNT dead letters, the oldest for "
like 'and the command that helps' "$(cat "$TMP/status")" 'failed list --consumer webhook --status dead'
is 'a program gets it as such' "$(outboxctl --db "$DB" --json status | grep -c '"dead_alarm":1000,"failed_alarm":100000,.*"level":"alarm","text":"webhook: ')" 1
outboxctl --db "$DB" set dead-alarm "$COUNT"
outboxctl --db "$DB" status >"$TMP/status" 2>&1
is 'as many as were allowed are a warning' "$? $(grep -c '^warning: webhook: .* dead letters' "$TMP/status") $(grep -c '^alarm:' "$TMP/status")" '0 1 0'
relay --jsonl "$TMP/events.jsonl" --webhook http://127.0.0.1:1/ --once
is 'the relay delivers the rest, and reclaims' "$code $(wc -l <"$TMP/events.jsonl") $(sql 'SELECT count(*) FROM outbox')" "0 $((2 * COUNT)) 0"
is 'none of them is dropped, nor the event that it needs' \
    "$(sql "SELECT count(*) || ' ' || sum(seq IN (SELECT seq FROM change_log)) FROM failed_deliveries WHERE state = 'dead'")" "$COUNT $COUNT"
is 'what nobody needs is' "$(sql 'SELECT count(*) FROM change_log WHERE seq % 2 = 0 AND seq < 100')" 0
is 'each is listed' "$(outboxctl --db "$DB" --json failed list 2>"$TMP/err" | grep -c '"seq"')" "$COUNT"

# A receiver that refuses everything: as many as may be, and then more.
new_database
outboxctl --db "$DB" set dead-alarm 150
receiver --answer '* 422'
refused() { # COUNT: so many events more, each of a key of its own
    sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
         INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', 'k' || i || '-$1', '1' FROM n"
    relay --webhook "$URL" --webhook-secret-file "$TMP/secret" --once
}
refused 150
is 'the relay says nothing of those that may be' "$code $(grep -c dead-alarm "$TMP/err")" '0 0'
refused 200
is 'that there are too many it says once' "$code $(grep -c 'more than dead-alarm allows (150); none is dropped' "$TMP/err")" '0 1'
is 'and keeps them all' "$(sql "SELECT count(*) FROM failed_deliveries WHERE state = 'dead'")" 350
done_testing
