#!/usr/bin/env bash
# outboxctl_erase_beside.sh — the data of a key is forgotten beside a reader that holds the WAL, and beside a relay that
# rotates, writers, and a reader that follows.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/support/erase.sh
. "$ROOT/tests/support/erase.sh"

# ---- A reader that keeps the WAL ----

new_stream
mkfifo "$TMP/hold"
sqlite3 "$DB" <"$TMP/hold" >"$TMP/held" 2>/dev/null &
holder=$!
exec 8>"$TMP/hold"
echo 'BEGIN; SELECT count(*) FROM change_log;' >&8
ok "somebody reads" await 10 test -s "$TMP/held"
ctl erase people eve "$stream" --yes
like "a reader can keep the WAL with the data: it is said" "$code $(said)" "a reader keeps the write-ahead log as it is"
is "as temporary" "$code" 111
exec 8>&-
wait "$holder"
ctl erase people eve "$stream" --yes
is "the next run finishes it" "$code $(places)" "0 "

# ---- Beside a relay, writers and a reader ----

rm -rf "$dir" && mkdir "$dir"
new_database
outboxctl --db "$TMP/reader.db" init 2>/dev/null
start live --jsonl "$stream" --jsonl-max-size 40K
relay_pid=$pid
outboxctl --db "$TMP/reader.db" tail "$stream" --consumer reader --follow >"$TMP/followed" 2>/dev/null &
reader_pid=$!
write() {
    until [ -e "$TMP/enough" ]; do
        sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
             INSERT INTO outbox_events(topic, key, payload)
             SELECT 'people', iif(i % 2, 'eve', 'adam'), json_object('n', i, 'who', iif(i % 2, 'CANARY', 'he'),
                    'pad', hex(zeroblob(200))) FROM n"
    done
}
write &
writer_pid=$!
ok "there is a stream" await 10 test -s "$stream"
rotated() { [ "$(find "$dir" -name 'events.*-*.jsonl' | wc -l)" -ge 1 ]; }
failures='' runs=0 emptied=0 deadline=$((SECONDS + 30))
until [ "$runs" -ge 5 ] && [ "$emptied" -ge 50 ] && rotated || [ "$SECONDS" -ge "$deadline" ]; do
    ctl erase people eve "$stream" --owed --yes --json
    [ "$code" = 0 ] || failures+="$code $(said) "
    emptied=$((emptied + $(jq .lines_emptied "$TMP/printed"))) runs=$((runs + 1))
done
touch "$TMP/enough"
wait "$writer_pid"
ok "$runs erasures while it is written and rotated, of $emptied lines" [ "$SECONDS" -lt "$deadline" ]
last=$(sql 'SELECT max(seq) FROM change_log')
ok "everything is delivered" await 20 is_acked jsonl "$last"
ctl erase people eve "$stream" --yes
is "beside a relay that writes: done" "$failures$code $(said | grep -c "events of people, key eve, in change_log: $((last / 2)),")" "0 1"
is "and nothing of it is left" "$(places)" ""
is "the stream is unbroken, each line once" "$(find "$dir" -name '*.jsonl' | sort | xargs cat | stream_chain_of)" "1 $last $last"
is "adam has all that is his" "$(cat "$dir"/*.jsonl | jq -r 'select(.key == "adam") | .payload.who' | sort | uniq -c | tr -s ' ')" " $((last / 2)) he"
followed() { [ "$(wc -l <"$TMP/followed")" = "$last" ]; }
ok "a reader that follows has read it all" await 10 followed
is "in order, each once" "$(stream_chain_of <"$TMP/followed")" "1 $last $last"
kill -TERM "$relay_pid" "$reader_pid"
ends "$relay_pid"
is "and has nothing to complain of" "$code $(grep -cE ' (warn|error) ' "$TMP/live.err")" "0 0"
ok "all is well" verified

done_testing
