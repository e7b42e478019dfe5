#!/usr/bin/env bash
# The database under a stream: failing under a writer, replaced while it is read; a slow disk; a machine without
# inotify; another database that wants the same stream. R10, R27, R31, R41, R44. A full disk is in jsonl_full.sh.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/torture/common.sh
. "$ROOT/tests/torture/common.sh"

stream_database() { { echo 'PRAGMA journal_mode=WAL;'; cat "$ROOT"/schema/*.sql; } | sqlite3 "$DB" >/dev/null; }
stream_sql() { sqlite3 -cmd '.timeout 10000' "$DB" "$1"; }

new_stream() { # an empty stream, a database with one event, no ledger
    rm -rf "$DB"* "$STREAM" "$TMP"/events.* "${LEDGERS:?}"/*
    torture_database
    stream_emit 1
}

start() { # [COMMAND…]: the relay, run by COMMAND
    "$@" outbox-relay --db "$DB" --jsonl "$STREAM" 2>"$TMP/relay.log" &
    relay=$!
}

ends() { # WITHIN_SECONDS: the exit code of the relay in $code; one that doesn't end in time is "late"
    code=late
    await "$1" eval "! kill -0 $relay" || return
    wait "$relay"
    code=$?
}

# ---- Syncs that fail, and syncs that are slow (R10, R44)

if strace -f -o /dev/null true 2>/dev/null; then
    new_stream
    strace -f -qq -o "$TMP/trace" -P "$DB-wal" -e trace=fdatasync -e inject=fdatasync:error=EIO:when=3+4 \
        "$BUILD/torture/writer" "$DB" "$LEDGERS/a" a 40 >"$TMP/writer-a.out" 2>&1
    ok 'a WAL that cannot be synced: the writer is told' grep -q 'I/O' "$TMP/writer-a.out"
    figures "$(tail -n 1 "$TMP/writer-a.out")"
    ok 'the relay drains' relay_once
    judge 'nothing that was told OK is missing, and nothing else is there' --drained

    new_stream
    stream_emit 20000
    strace -f -qq -o "$TMP/trace" -P "$STREAM" -e trace=fdatasync -e inject=fdatasync:delay_exit=500000 \
        outbox-relay --db "$DB" --jsonl "$STREAM" --once 2>"$TMP/relay.log"
    is 'syncs that take half a second: the relay drains' $? 0
    syncs=$(grep -c fdatasync "$TMP/trace")
    ok "20,000 events share a few syncs ($syncs)" [ "$syncs" -le 8 ]
    ok 'slow is not called broken' eval "! grep -q 'trying again' $TMP/relay.log"
    ok 'and all is there' stream_is_complete
else
    skip 'syncs that fail, and syncs that are slow' 'strace is missing or not permitted'
fi

# ---- No inotify (R41)

for limit in max_inotify_instances max_inotify_watches; do
    # shellcheck disable=SC2016 # for the inner shell
    without_inotify='echo 0 >/proc/sys/user/'$limit' && exec "$@"'
    if unshare -Ur sh -c "$without_inotify" sh true 2>/dev/null; then
        new_stream
        start unshare -Ur sh -c "$without_inotify" sh
        ok "$limit 0: without inotify what is owed is delivered" await 10 stream_is_complete
        stream_emit 3
        ok "$limit 0: and so is what comes later" await 10 stream_is_complete
        kill "$relay"
        ends 20
        is "$limit 0: it ends as it should" "$code" 0
    else
        skip "$limit 0: without inotify" 'may not make a user namespace'
    fi
done

# ---- The file is another one now (R27)

for how in removed moved replaced; do
    new_stream
    start
    ok "$how: a line is delivered before" await 10 stream_is_complete
    sqlite3 "$DB" ".backup $TMP/other.db"
    case $how in
    removed) rm "$DB" ;;
    moved) mv "$DB" "$TMP/away.db" ;;
    replaced) mv "$TMP/other.db" "$DB" ;;
    esac
    ends 3
    is "$how: the relay stops, for good, within two seconds" "$code" 100
    like "$how: and says why" "$(cat "$TMP/relay.log")" 'moved, removed or replaced'
    is "$how: the stream is as it was" "$(stream_chain)" '1 1 1'
    rm -f "$TMP"/away.db* "$TMP"/other.db*
done

# ---- Another database wants the stream (R31)

new_stream
start
ok 'a line is delivered' await 10 stream_is_complete
first=$relay
before=$(cksum <"$STREAM")
{ echo 'PRAGMA journal_mode=WAL;'; cat "$ROOT"/schema/*.sql; } | sqlite3 "$TMP/second.db" >/dev/null
sqlite3 "$TMP/second.db" "INSERT INTO outbox_events(topic, payload) VALUES ('t', '2'), ('t', '3')"
outbox-relay --db "$TMP/second.db" --jsonl "$STREAM" 2>"$TMP/relay2.log" &
relay=$!
ok 'a relay of another database waits while the stream is held' await 10 grep -q 'being written by' "$TMP/relay2.log"
kill -9 "$first"
wait "$first" 2>/dev/null
ends 10
is 'and refuses it when it is free' "$code" 100
like 'by name' "$(cat "$TMP/relay2.log")" 'belongs to another database'
is 'without a byte written' "$(cksum <"$STREAM")" "$before"
done_testing
