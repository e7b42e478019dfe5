#!/usr/bin/env bash
# Four processes count on the same 100 keys with compare-and-swap, while the relay delivers: no update is lost, every
# committed revision is in the file once, in order, and a transaction rolled back is nowhere.
. "$(dirname "$0")/../support/tap.sh"
cd "$TMP" || exit 1
db=$TMP/c.db rounds=400
outboxctl --db "$db" init >init.out 2>&1 || fail "init" "$(cat init.out)"
sqlite3 "$db" 'CREATE TABLE counters(id TEXT PRIMARY KEY, n INTEGER, revision INTEGER NOT NULL DEFAULT 1)'
outbox-relay --db "$db" --jsonl "$TMP/events.jsonl" 2>relay.err &
relay=$!
writers=()
for i in 1 2 3 4; do
    "$BUILD/tests/support/cas_writer" "$db" 100 $rounds >"w$i" 2>"w$i.err" &
    writers+=($!)
done
bad=0
for w in "${writers[@]}"; do wait "$w" || bad=$((bad + 1)); done
is "all four wrote all they had" "$bad $(cat w1.err w2.err w3.err w4.err)" "0 "

sqlite3 "$db" "BEGIN IMMEDIATE; INSERT INTO counters(id) VALUES ('ghost'); INSERT INTO outbox_events(topic, key) VALUES ('ghost', 'ghost'); ROLLBACK"
outboxctl --db "$db" emit end end '{}' >/dev/null
ok "the relay catches up" await 30 grep -q '"topic":"end"' events.jsonl
kill -TERM $relay
wait $relay
is "and ends with 0" $? 0

total=$((4 * rounds))
is "the counters hold every addition" "$(sqlite3 "$db" 'SELECT sum(n), sum(revision) FROM counters')" "$total|$total"
is "the file holds what the writers were told, once each" \
    "$(jq -r 'select(.table == "counters") | .key + " " + (.revision | tostring)' events.jsonl | sort | cksum)" "$(sort w1 w2 w3 w4 | cksum)"
is "each key's revisions rise by one, in file order" \
    "$(jq -r 'select(.table == "counters") | .key + " " + (.revision | tostring)' events.jsonl | awk '$2 != ++last[$1] {bad++} END {print bad + 0}')" 0
is "prev is the seq before, from 0 on" "$(jq -r '"\(.prev) \(.seq)"' events.jsonl | awk '$1 != last || $2 != last + 1 {bad++} {last = $2} END {print bad + 0, last}')" "0 $((total + 1))"
is "what was rolled back is nowhere" "$(grep -c ghost events.jsonl)$(sqlite3 "$db" "SELECT count(*) FROM change_log WHERE key = 'ghost'")" 00
done_testing
