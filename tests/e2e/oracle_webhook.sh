#!/usr/bin/env bash
# What tests/torture/oracle_webhook calls broken, and what not: a batch whose answer may have been lost comes again whole, and
# its own later events are not overtaken by that.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
DB=$TMP/app.db LOG=$TMP/log
{ echo 'PRAGMA journal_mode=WAL;'; cat "$ROOT"/schema/*.sql; } | sqlite3 "$DB" >/dev/null
sqlite3 "$DB" "INSERT OR REPLACE INTO outbox_meta(name, value) VALUES ('source', '0123456789abcdef');
    INSERT INTO change_log(seq, topic, key, op, payload, created_at)
    VALUES (1, 't', 'a', 'emit', '1', 0), (2, 't', 'a', 'emit', '2', 0), (3, 't', 'a', 'emit', '3', 0);
    INSERT INTO consumer_offsets(consumer, acked_seq, state) VALUES ('batch', 3, 'active')"
echo '{"batch": {"window": 10, "attempts": 0, "refusals": []}, "ends": {"1": "term"}}' >"$TMP/settings.json"

request() { # NUMBER OUTCOME SEQ…: sent, or lost: whether its 200 is known to have left
    local number=$1 outcome=$2 seq events=''
    shift 2
    for seq; do events+=",{\"id\": \"0123456789abcdef-$seq\", \"key\": \"t/a\", \"data\": $seq}"; done
    echo "{\"what\": \"begin\", \"at\": 0, \"request\": \"$number\", \"endpoint\": \"batch\", \"id\": \"$number\", \"wall\": 0, \"life\": \"1\"," \
        "\"certificate\": null, \"read\": true, \"stale\": false, \"signed\": true, \"extra\": [], \"events\": [${events#,}]}"
    echo "{\"what\": \"end\", \"at\": 0, \"request\": \"$number\", \"fate\": \"200\"}"
    [ "$outcome" = lost ] || echo "{\"what\": \"sent\", \"at\": 0, \"request\": \"$number\"}"
}
judge() { "$ROOT/tests/torture/oracle_webhook" --db "$DB" --log "$LOG" --settings "$TMP/settings.json"; }
broken() { judge 2>&1 | sed -nE 's/^(W[1-5]) BROKEN.*/\1/p' | tr '\n' ' '; }

{ request 1 sent 1 2; request 2 sent 3; } >"$LOG"
is 'nothing is broken where all went well' "$(broken)" ''
{ request 1 lost 1 2 3; request 2 sent 1 2 3; } >"$LOG"
is 'a batch whose answer was lost may come again' "$(broken)" ''
{ request 1 sent 1 2 3; request 2 sent 1 2 3; } >"$LOG"
is 'one whose answer has arrived may not' "$(broken)" 'W2 W3 '
{ request 1 lost 1; request 2 sent 2 3; request 3 sent 1; } >"$LOG"
is 'nor may an event come after a later one that has arrived' "$(broken)" 'W2 '
{ request 1 sent 1; request 2 sent 3; request 3 sent 2; } >"$LOG"
is 'nor be left out until then' "$(broken)" 'W2 '
done_testing
