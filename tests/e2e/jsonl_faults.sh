#!/usr/bin/env bash
# What happens to a stream in practice: deleted, full, taken over, restored from a backup, somebody else's. The relay
# heals what it can without a restart, and refuses the rest with exit 100 and words that say what to do.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$(dirname "$0")/../support/stream.sh"

once() { outbox-relay --db "$TMP/app.db" --jsonl "$TMP/events.jsonl" --once 2>"$TMP/once.log"; }

exit_code() {
    once
    echo $?
}

start() { # LOG
    outbox-relay --db "$TMP/app.db" --jsonl "$TMP/events.jsonl" 2>"$1" &
    relay=$!
}

stop() {
    kill "$relay"
    wait "$relay"
}

stream_database
stream_emit 100
is 'a backlog is drained' "$(exit_code)" 0
is 'into whole lines' "$(stream_chain)" '1 100 100'
sqlite3 "$TMP/app.db" ".backup $TMP/backup.db"
is 'the file is not for everybody' "$(stat -c %a "$TMP/events.jsonl")" 640

# ---- Deleted: written again from change_log, or refused

rm "$TMP/events.jsonl"
is 'a deleted file is no reason to stop' "$(exit_code)" 0
is 'it is written again' "$(stream_chain)" '1 100 100'
like 'and that is said' "$(cat "$TMP/once.log")" 'written again from change_log'

start "$TMP/relay.log"
await 10 grep -q . "$TMP/events.jsonl.lock"
stream_emit 10
ok 'a running relay delivers' await 10 stream_is_complete
rm "$TMP/events.jsonl"
stream_emit 10
ok 'deleted under way it comes back with all its lines' await 10 stream_is_complete
: >"$TMP/events.jsonl"
stream_emit 10
ok 'emptied under way too' await 10 stream_is_complete
is 'each is said once' "$(grep -c 'trying again' "$TMP/relay.log")" 2
stop

# ---- A second relay waits, and takes over

start "$TMP/first.log"
first=$relay
await 10 grep -q "^$first " "$TMP/events.jsonl.lock"
outbox-relay --db "$TMP/app.db" --consumer second --jsonl "$TMP/events.jsonl" 2>"$TMP/second.log" &
second=$!
ok 'a second writer of the stream says that it waits' await 10 grep -q 'being written by' "$TMP/second.log"
kill -9 "$first"
wait "$first" 2>/dev/null
stream_emit 10
ok 'and takes over from a killed one' await 10 stream_is_complete
kill "$second"
wait "$second"
is 'a stopped relay has exit code 0' $? 0
stream_sql "DELETE FROM consumer_offsets WHERE consumer = 'second'"

# ---- "names" and "names.jsonl" would have segments of the same names

names=$TMP/names
outbox-relay --db "$TMP/app.db" --consumer archive --filter 'seq % 2' --jsonl "$names.jsonl" 2>"$TMP/first.log" &
first=$!
await 10 grep -q "^$first " "$names.jsonl.lock"
outbox-relay --db "$TMP/app.db" --consumer recent --filter 'seq % 2 = 0' --jsonl "$names" 2>"$TMP/second.log" &
second=$!
ok 'a relay whose segments would be called like those of another stream waits' \
    await 10 grep -q "$names.jsonl, whose full files would have the same names, is being written by pid $first " "$TMP/second.log"
is 'and writes nothing' "$([ -e "$names" ] || echo nothing)" nothing
kill "$first" "$second"
wait "$first" "$second"
printf 'sink recent { jsonl = "%s" }\nsink archive { jsonl = "%s" }\n' "$names" "$names.jsonl" >"$TMP/names.conf"
is 'in one configuration it is refused, in one line' \
    "$(outbox-relay --db "$TMP/app.db" --config "$TMP/names.conf" --check-config 2>&1; echo $?)" \
    "outbox-relay: sinks 'recent' and 'archive' write $names and $names.jsonl, whose full files would have the same names; give one another name
2"
stream_sql "DELETE FROM consumer_offsets WHERE consumer IN ('archive', 'recent')"

# ---- A full disk

if mkdir "$TMP/small" && mount -t tmpfs -o size=128k none "$TMP/small" 2>/dev/null; then
    ln -s "$TMP/small" "$TMP/full"
    dd if=/dev/zero of="$TMP/small/ballast" bs=1k count=100 2>/dev/null
    outbox-relay --db "$TMP/app.db" --consumer small --from now --jsonl "$TMP/full/events.jsonl" 2>"$TMP/full.log" &
    relay=$!
    await 10 test -e "$TMP/small/events.jsonl"
    stream_emit 200
    ok 'a full disk is said' await 10 grep -q 'No space left' "$TMP/full.log"
    rm "$TMP/small/ballast"
    ok 'with room again it goes on by itself' await 10 grep -q 'good again' "$TMP/full.log"
    last_is_there() { tail -n 1 "$TMP/small/events.jsonl" | grep -q "^{\"seq\":$(stream_sql 'SELECT max(seq) FROM change_log'),"; }
    ok 'to the last event' await 10 last_is_there
    is 'with nothing lost or repeated' "$(stream_chain_of 2>/dev/null <"$TMP/small/events.jsonl" | cut -d' ' -f3)" 200
    stop
    umount "$TMP/small"
    stream_sql "DELETE FROM consumer_offsets WHERE consumer = 'small'"
else
    skip 'a full disk' 'may not mount a small file system'
fi

# ---- Whose stream it is

is 'the stream is still good' "$(exit_code)" 0
rm "$TMP"/app.db*
cp "$TMP/backup.db" "$TMP/app.db"
before=$(cksum <"$TMP/events.jsonl")
is 'a restored backup behind its stream is refused' "$(exit_code)" 100
like 'with words that say what to do' "$(cat "$TMP/once.log")" 'outboxctl new-source --seq-after'
is 'the file is left as it was' "$(cksum <"$TMP/events.jsonl")" "$before"

rm "$TMP"/app.db*
stream_database
stream_emit 3
is 'another database is refused' "$(exit_code)" 100
like 'and named' "$(cat "$TMP/once.log")" 'belongs to another database'

outbox-relay --db "$TMP/app.db" --consumer lost --jsonl "$TMP/nowhere/events.jsonl" --once 2>"$TMP/once.log"
is 'a directory that is not there is refused' $? 100
like 'by name' "$(cat "$TMP/once.log")" 'nowhere/events.jsonl: its lock file: No such file or directory'
done_testing
