#!/usr/bin/env bash
# outboxctl_verify.sh — verify says "complete" of what is, and exactly what is missing, repeated or wrong of what isn't.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

stream=$TMP/events.jsonl
segment() { find "$TMP" -maxdepth 1 -name 'events.*-*.jsonl' | sort | sed -n "$1p"; }
segments() { find "$TMP" -maxdepth 1 -name 'events.*-*.jsonl' | wc -l; }
last_of() { sed -E 's/.*-0*([0-9]+)\.jsonl/\1/' <<<"$1"; }

# with FILE COMMAND…: what verify says of the stream when a command has made something else of one of its files, which
# is put back.
with() {
    local file=$1
    shift
    cp "$file" "$TMP/kept"
    "$@" <"$TMP/kept" >"$file"
    ctl verify "$stream" --json
    cp "$TMP/kept" "$file"
}
problems() { jq -c 'select(.problem) | [.what, .problem, .first, .last]' "$TMP/printed" | sed "s|$TMP/||g" | xargs -d '\n'; }

# ---- The database against itself ----

new_database
ctl verify
is "an empty one is complete" "$code $(cat "$TMP/printed")" "0 database: complete, and empty"
emit 20
sql "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES ('slow', 5, 1), ('quick', 20, 1)"
ctl verify
is "so is one that has all" "$code $(cat "$TMP/printed")" "0 database: complete from 1 to 20, events: 20"

sql "CREATE TABLE kept AS SELECT * FROM change_log; CREATE TABLE owed AS SELECT * FROM outbox"
damaged() { # damaged SQL: the problems after it; all is put back
    sql "$1"
    ctl verify --json
    sql "DELETE FROM change_log; INSERT INTO change_log SELECT * FROM kept; DELETE FROM outbox; INSERT INTO outbox SELECT * FROM owed;
         DELETE FROM failed_deliveries; UPDATE outbox_meta SET value = 604800000000 WHERE name = 'history'
         ; UPDATE consumer_offsets SET acked_seq = min(acked_seq, 20)"
    problems
}
is "a hole in change_log is a loss" "$(damaged 'DELETE FROM change_log WHERE seq IN (8, 9, 12); DELETE FROM outbox WHERE seq IN (8, 9, 12)')" \
    '["database","missing",8,9] ["database","missing",12,12]'
is "so is its end" "$(damaged 'DELETE FROM change_log WHERE seq > 18; DELETE FROM outbox WHERE seq > 18')" '["database","missing",19,20]'
is "what is owed has to be there" "$(damaged 'DELETE FROM change_log WHERE seq = 8')" '["database","missing",8,8] ["database","gone",8,8]'
is "what is needed has to be owed" "$(damaged 'DELETE FROM outbox WHERE seq < 10')" '["database","not-owed",6,9]'
is "a cursor beyond the end is of another database" "$(damaged "UPDATE consumer_offsets SET acked_seq = 30 WHERE consumer = 'quick'")" \
    '["database","cursor",30,30]'
is "a failed delivery needs its event" \
    "$(damaged "DELETE FROM change_log WHERE seq < 5; DELETE FROM outbox WHERE seq < 6; INSERT INTO failed_deliveries(consumer, seq, state) VALUES ('slow', 2, 'dead')")" \
    '["database","failed",2,2]'
is "what history reclaimed is no loss" "$(damaged 'DELETE FROM change_log WHERE seq < 5; DELETE FROM outbox WHERE seq < 6')" ""
is "nor is it where a failed delivery stands between" \
    "$(damaged "DELETE FROM change_log WHERE seq IN (1, 3, 4); DELETE FROM outbox WHERE seq < 6; INSERT INTO failed_deliveries(consumer, seq, state) VALUES ('slow', 2, 'dead')")" ""
old="UPDATE outbox_meta SET value = 0 WHERE name = 'history'"
is "nor where all of it is old" "$(damaged "$old; DELETE FROM change_log WHERE seq IN (1, 3, 4); DELETE FROM outbox WHERE seq < 6")" ""
is "but above what is owed nothing is reclaimed, however old" \
    "$(damaged "$old; DELETE FROM change_log WHERE seq IN (8, 9); DELETE FROM outbox WHERE seq IN (8, 9)")" '["database","missing",8,9]'
is "a hole behind a row that nothing kept is one" \
    "$(damaged 'DELETE FROM change_log WHERE seq IN (1, 3, 4); DELETE FROM outbox WHERE seq < 6')" '["database","missing",3,4]'
ctl verify
is "all that was put back" "$code" 0

# ---- A stream ----

new_database
emit 30
start live --jsonl "$stream" --jsonl-max-size 4K
end=30 deadline=$((SECONDS + 20))
until [ "$(segments)" -ge 3 ] || [ "$SECONDS" -ge "$deadline" ]; do # at least a second between two rotations
    emit 30
    end=$((end + 30))
    await 10 is_acked jsonl "$end" || break
done
kill -TERM "$pid"
ends "$pid"
ok "there are segments" test "$(segments)" -ge 3
ctl verify "$stream"
is "a whole stream is complete" "$code $(tail -1 "$TMP/printed" | sed "s|$TMP/||")" "0 events.jsonl: complete from 1 to $end, events: $end"

one=$(segment 1)
last=$(last_of "$one")
with "$one" sed 3d
is "a line taken out" "$code $(problems)" '1 ["events.jsonl","missing",3,3]'
with "$one" sed '3{h;d};4G'
is "two lines in the wrong order" "$(problems)" '["events.jsonl","missing",3,3] ["events.jsonl","repeated",3,3]'
with "$one" sed '3p'
is "a line twice" "$(problems)" '["events.jsonl","repeated",3,3]'
with "$one" sed '3s/^{/[/'
is "a line that is no event" "$(problems)" '["events.jsonl","damaged",null,null] ["events.jsonl","missing",3,3]'
with "$one" sed '3s/"prev":2/"prev":1/'
is "a line that follows another" "$(problems)" '["events.jsonl","chain",3,3]'
with "$one" sed '3s/"time":"..../"time":"2001/'
is "another event under its number" "$(problems)" '["events.jsonl","other",3,3]'
with "$one" sed '3s/"id":"................/"id":"0123456789abcdef/'
is "an event of another source" "$(problems)" '["events.jsonl","source",3,3]'
with "$one" sed '$d'
is "a segment without its last line" "$(problems)" \
    "[\"events.jsonl\",\"name\",1,$((last - 1))] [\"events.jsonl\",\"missing\",$last,$last]"
with "$one" head -c -5
is "or with half of it" "$(problems)" \
    "[\"events.jsonl\",\"torn\",null,null] [\"events.jsonl\",\"name\",1,$((last - 1))] [\"events.jsonl\",\"missing\",$last,$last]"
two=$(segment 2)
mv "$two" "$TMP/kept"
ctl verify "$stream" --json
mv "$TMP/kept" "$two"
is "a segment that is gone" "$(problems)" "[\"events.jsonl\",\"missing\",$((last + 1)),$(last_of "$two")]"
mv "$one" "$TMP/kept"
ctl verify "$stream" --json
mv "$TMP/kept" "$one"
is "but the oldest may go: retention" "$code $(jq -c 'select(.complete != null and .what != "database") | [.complete, .first]' "$TMP/printed")" "0 [true,$((last + 1))]"
with "$stream" head -c 0
is "what its relay had written has to be there" "$code $(problems)" \
    "1 [\"events.jsonl\",\"missing\",$(($(last_of "$(segment '$')") + 1)),$end]"
printf '{"seq":%d,"pre' $((end + 1)) >>"$stream"
ctl verify "$stream" --json
is "half a line at the very end is being written" "$code $(jq -r .note "$TMP/printed" | grep -v null)" "0 torn"
cp "$TMP/kept" "$stream"
emit 2
ctl verify "$stream" --json
is "what is not in it yet is no loss" "$code $(jq -c 'select(.note) | [.note, .first, .last]' "$TMP/printed")" "0 [\"behind\",$((end + 1)),$((end + 2))]"

# ---- With a filter ----

new_database
rm -f "$TMP"/events*
emit 6
relay --jsonl "$stream" --filter "seq % 3 = 0" --once
ctl verify "$stream" --json
is "what was never written is told" "$code $(problems)" '1 ["events.jsonl","unwritten",1,2] ["events.jsonl","unwritten",4,5]'
ctl verify "$stream" --filtered
is "--filtered says that it is meant so" "$code" 0

ctl verify "$TMP/nowhere/events.jsonl"
is "a stream that isn't there is told" "$code $(sed "s|$TMP/||" "$TMP/said")" "111 outboxctl: nowhere: No such file or directory"

done_testing
