#!/usr/bin/env bash
# outboxctl_erase.sh — the data of a key is forgotten: nowhere a byte of it, everything else as it was; refused while it is
# owed; what it does not reach is said.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"
# shellcheck source=tests/support/erase.sh
. "$ROOT/tests/support/erase.sh"

# ---- Nothing of it is left, and nothing else is touched ----

new_stream
mkfifo "$TMP/hold"
sqlite3 "$DB" <"$TMP/hold" >"$TMP/held" &
exec 8>"$TMP/hold" # so that nobody who closes the database is the last, and takes the WAL away
echo 'SELECT count(*) FROM outbox_meta;' >&8
ok "somebody else has the database open" await 10 test -s "$TMP/held"
hook=(--webhook-secret-file "$TMP/secret" --max-attempts 1 --keep-answer 1K)
receiver --answer 'key=people/eve echo=500'
relay --webhook "$URL" "${hook[@]}" --from now --once
person adam 'in the WAL'
sql "INSERT INTO outbox_events(topic, key, payload) VALUES ('people', 'eve', '{\"dead\":\"CANARY\"}')"
relay --jsonl "$stream" --once
relay --webhook "$URL" "${hook[@]}" --once
receiver_ends
sql "UPDATE failed_deliveries SET last_error = last_error || ' CANARY';
     UPDATE failed_attempts SET answer = CAST('CANARY' AS BLOB);
     INSERT INTO outbox_displaced(table_name, key, before) VALUES ('people', 'eve', 'CANARY'), ('people', 'adam', 'his');
     INSERT INTO outbox_audit(action, seq, key, detail)
     VALUES ('discard', 1, 'people/eve', 'asked for; dead, attempts: 3; 500 CANARY')"
is "her data is in the database, its WAL and every file of the stream" "$(places)" \
    "events.N-N.jsonl events.jsonl shop.db shop.db-wal"
others=$(others) lines=$(other_lines) sizes=$(sizes) ages=$(ages)
ok "all is well before" verified
ctl erase people eve "$stream" --dry-run
is "a dry run erases nothing" "$code $(places)" "0 events.N-N.jsonl events.jsonl shop.db shop.db-wal"
cp "$TMP/said" "$TMP/told"
ctl erase people eve "$stream" --yes
is "it is done" "$code" 0
is "and no byte of it is left anywhere" "$(places)" ""
is "as was told before" "$(head -n -1 "$TMP/told")" "$(said)"
is "the others' rows are as they were" "$(others)" "$others"
is "their lines, byte for byte" "$(other_lines)" "$lines"
is "no file has another length" "$(sizes)" "$sizes"
is "nor is a segment younger, which would keep it longer" "$(ages)" "$ages"
ok "and all is well after" verified
is "every event of hers is there, its seq, revision, op and time as they were" \
    "$(sql "SELECT count(*), count(DISTINCT seq), min(created_at) > 0, group_concat(DISTINCT op) FROM change_log WHERE key = 'eve'")" \
    "$(cat "$dir"/*.jsonl | grep -c '"key":"eve"')|$(cat "$dir"/*.jsonl | grep -c '"key":"eve"')|1|insert,emit,delete,update"
is "a delete has no payload still, what else she was has null" \
    "$(cat "$dir"/*.jsonl | jq -c 'select(.key == "eve") | [.op, has("payload"), .payload, .before, .headers]' | sort -u)" \
    '["delete",false,null,null,null]
["emit",true,null,null,null]
["emit",true,null,null,{}]
["insert",true,null,null,null]
["update",true,null,null,null]'
is "what an error said of it, an answer, an image" \
    "$(sql "SELECT last_error, (SELECT group_concat(error || coalesce(answer, '')) FROM failed_attempts),
                   (SELECT group_concat(key) FROM outbox_displaced),
                   (SELECT detail FROM outbox_audit WHERE action = 'discard') FROM failed_deliveries")" \
    "erased|erased|adam|asked for; dead, attempts: 3; erased"
is "it is on record" "$(sql "SELECT action, key, detail FROM outbox_audit WHERE action = 'erase'")" "erase|eve|events: 14, streams: 1"
ctl erase people eve "$stream" --yes --json
is "again there is nothing more to do" \
    "$code $(jq -c '[.events, .events_emptied, .lines, .lines_emptied, .wal_emptied]' "$TMP/printed")" '0 [14,0,14,0,true]'
ctl erase people eve "$stream" "$TMP/./stream/events.jsonl" --dry-run --json
is "a stream that is named twice is one" "$(jq -c '[.files, .lines]' "$TMP/printed")" '[3,14]'
exec 8>&-

ctl erase people adam "$stream" --yes
is "a row may be there still: the table is the application's" "$code $(sql "SELECT note FROM people")" "0 in the WAL"
ok "and what is erased cannot disagree with it" verified

# ---- What is owed is not taken away unasked ----

new_stream
sql "INSERT INTO outbox_events(topic, key, payload) VALUES ('people', 'eve', '{\"new\":\"CANARY\"}')"
before=$(places)
ctl erase people eve "$stream" --yes
is "what is still owed is refused, and nothing changed" "$code $(places)" "111 $before"
like "with the one who waits for it" "$(said)" "1 of its events are still owed, to jsonl: wait"
ctl erase people adam "$stream" --dry-run
is "another's is no reason" "$code" 0
outboxctl --db "$DB" tail "$stream" --consumer reader --from 3 >/dev/null
ctl consumers seek reader 10 --yes
relay --jsonl "$stream" --once
ctl erase people eve "$stream" --yes
like "nor may a reader of the stream lose what it has not read" "$code $(said)" "111 outboxctl: people, key eve: "
like "it is named" "$(said)" "still owed, to reader:"
ln -s "$dir" "$TMP/linked"
for spelled in "$TMP/stream/./events.jsonl" "$TMP/linked/../stream/events.jsonl" "$TMP/linked/events.jsonl"; do
    ctl erase people eve "$spelled" --yes
    like "however the stream is spelled" "$code $(said)" "still owed, to reader:"
done
sql "UPDATE consumer_offsets SET reads = '$TMP/linked/events.jsonl' WHERE consumer = 'reader'"
ctl erase people eve "$stream" --yes
like "or the reader spelled it" "$code $(said)" "still owed, to reader:"
mv "$TMP/linked" "$TMP/astray"
ctl erase people eve "$stream" --yes
like "or may have: where its link led nobody can tell now" "$code $(said)" "still owed, to reader:"
mv "$TMP/astray" "$TMP/linked"
ctl erase people eve --dry-run
is "of a stream that is touched" "$code" 0
ctl erase people eve "$stream" --owed --yes
is "unless it shall: --owed" "$code $(places)" "0 "
outboxctl --db "$DB" tail "$stream" --consumer reader >"$TMP/read"
is "the reader, in the middle of it, goes on with the very next one" \
    "$(seqs "$TMP/read")" "$(seq 10 "$(sql 'SELECT max(seq) FROM change_log')" | tr '\n' ' ')"
sql "INSERT INTO outbox_events(topic, key, payload) VALUES ('people', 'eve', '{\"new\":\"CANARY\"}')"
ctl erase people eve "$stream" --owed --yes
relay --jsonl "$stream" --once
is "what was owed is delivered without its data" "$(tail -1 "$stream" | jq -c '[.key, .payload]') $(places)" '["eve",null] '

# ---- Every form of a stream; what is not reached is said ----

new_stream --jsonl-format cloudevents
ctl erase people eve "$stream" --yes
is "of CloudEvents too" "$code $(places)" "0 "
ok "which are whole" verified

new_stream
first=$(find "$dir" -name 'events.*-*.jsonl' | sort | head -1)
gzip "$first"
ctl erase people eve "$stream" --yes
is "a compressed segment is not reached: not complete" "$code $(places)" "1 "
like "it is named" "$(said)" "${first##*/}.gz is not touched"
gunzip "$first.gz"
mv "$first" "$TMP/away.jsonl"
ln -s "$TMP/away.jsonl" "$first"
ctl erase people eve "$stream" --yes
is "a symbolic link is not followed" "$code $(grep -cE 'CANARY|Q0FO' "$TMP/away.jsonl")" "1 $(jq -r .key "$TMP/away.jsonl" | grep -c eve)"
like "it is named" "$(said)" "${first##*/} is not touched"
rm "$first"
ln -s "$stream" "$dir/link.jsonl"
ctl erase people eve "$dir/link.jsonl" --yes
like "nor is one for the active file" "$code $(said)" "100 outboxctl: $dir/link.jsonl: it is a symbolic link"
sed -i '2s/.*/nothing/' "$stream"
ctl erase people eve "$stream" --yes
like "a line that nobody can read is left, and said" "$code $(said)" "1 outboxctl: $stream: the line at byte"

# ---- A CloudEvent does not say its table: change_log does ----

# Of orders o-1 a row whose caller gave topic and ordering key; a message and a row of another table that keep its order.
new_orders() {
    new_database
    rm -rf "$dir" && mkdir "$dir"
    sql "CREATE TABLE orders(id TEXT PRIMARY KEY, cust TEXT, note TEXT, revision INTEGER NOT NULL DEFAULT 1);
         CREATE TABLE details(id TEXT PRIMARY KEY, ofs TEXT, note TEXT, revision INTEGER NOT NULL DEFAULT 1)"
    outboxctl --db "$DB" capture orders --options '{"topic":"order.changed","ordering_key":"cust"}' 2>/dev/null
    outboxctl --db "$DB" capture details --options '{"topic":"shop","ordering_key":"ofs"}' 2>/dev/null
    sql "INSERT INTO orders(id, cust, note) VALUES ('o-1', 'c-9', 'CANARY'), ('o-2', 'c-9', 'stays');
         INSERT INTO details(id, ofs, note) VALUES ('o-1', 'orders/o-1', 'the detail');
         INSERT INTO outbox_events(topic, key, payload, ordering_key) VALUES ('invoices', 'o-1', '{\"amount\":42}', 'orders/o-1')"
    relay --jsonl "$stream" --once --jsonl-format cloudevents
}
data() { jq -c '.data.note // .data.amount' "$stream" | paste -sd' '; }
left() { echo "$(grep -c CANARY "$stream") $(sql "SELECT count(*) FROM change_log WHERE payload LIKE '%CANARY%'")"; }
new_orders
is "they are there" "$(data)" '"CANARY" "stays" "the detail" 42'
ctl erase orders o-1 "$stream" --yes
is "what is of the table goes, whatever its topic and ordering key" "$code $(left)" "0 0 0"
is "and not what is ordered with it" "$(data)" 'null "stays" "the detail" 42'
ok "so the stream and the log agree" verified
ctl erase invoices o-1 "$stream" --yes
is "that goes by its own name" "$code $(data)" '0 null "stays" "the detail" null'
new_orders
outboxctl --db "$DB" new-source --yes 2>/dev/null
ctl erase orders o-1 "$stream" --yes
is "what a former source gave out of this log is known" "$code $(data)" '0 null "stays" "the detail" 42'
new_orders
sql "DELETE FROM change_log"
ctl erase orders o-1 "$stream" --yes
is "where the log is reclaimed nobody can say it: not complete" "$code $(data)" '1 "CANARY" "stays" "the detail" 42'
like "and how it is done is said" "$(said)" "If it is of orders: outboxctl erase order.changed o-1 $stream"
like "with how many there are" "$(said)" "lines with this key that may be another table's: 2"
ctl erase order.changed o-1 "$stream" --yes
is "by the topic it is complete" "$code $(data)" '0 null "stays" "the detail" 42'
ctl erase orders o-1 "$stream" --yes
like "and no longer asked about" "$code $(said)" "lines with this key that may be another table's: 1"

# ---- The empty text is a key ----

for format in native cloudevents; do
    new_database
    rm -rf "$dir" && mkdir "$dir"
    sql "CREATE TABLE orders(id TEXT PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)"
    ctl upsert orders '{"id":"","note":"CANARY"}'
    sql "INSERT INTO outbox_events(topic, key, payload) VALUES ('orders', NULL, '{\"note\":\"no key\"}')"
    relay --jsonl "$stream" --once --jsonl-format "$format"
    ctl erase orders '' "$stream" --yes
    is "of the row whose key is the empty text nothing is left ($format)" "$code $(left)" "0 0 0"
    is "and what has no key stays" "$(grep -c 'no key' "$stream")" 1
done

# ---- Words ----

new_stream
ctl erase people nobody "$stream" --yes
like "nobody's is a no" "$code $(said)" "nothing is there of people, key nobody"
is "with its code" "$code" 1
ctl erase people nobody --yes
is "without a stream as well, and not on record" "$code $(said) $(sql "SELECT count(*) FROM outbox_audit WHERE key = 'nobody' AND detail LIKE '%streams: 0'")" \
    "1 outboxctl: nothing is there of people, key nobody 0"
ctl erase people eve
is "it wants --yes" "$code $([ -n "$(places)" ] && echo there)" "2 there"
ctl erase people --yes
like "a key" "$code $(said)" "2 outboxctl: usage: outboxctl erase TABLE|TOPIC KEY [FILE…]"
ctl erase '' eve --yes
is "and a name" "$code $(said)" "2 outboxctl: erase: the name of a table or topic is empty"
ctl erase people eve "$TMP/events.jsnol" --yes
is "a stream that is there" "$code $(said)" \
    "2 outboxctl: $TMP/events.jsnol: there is no such stream, neither the file nor a segment of it"
ctl erase people eve "${stream%.jsonl}" --yes
is "one whose segments are another's is not erased by half" "$code $(said)" \
    "2 outboxctl: ${stream%.jsonl}: there is no such file, and beside it is events.jsonl, whose segments have the same names; name that"
ctl erase people eve "$TMP/nowhere/events.jsonl" --yes
like "in a directory that is" "$code $(said)" "111 outboxctl: $TMP/nowhere/events.jsonl: its directory: "
is "and nothing is erased before that is known" "$([ -n "$(places)" ] && echo there)" "there"
ctl erase people eve --yes
like "a stream that is not named is not forgotten in silence" "$(said)" "this database feeds 1 JSONL streams, and 0 of them are named here"

done_testing
