#!/usr/bin/env bash
# The database's disk is full: writers are told so, the relay goes on delivering what is committed, what both have is
# used again (the WAL's room, the pages that the janitor frees), and with room again all goes on by itself. R43.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
if [ "$(id -u)" = 0 ] && [ -z "${IN_NAMESPACE:-}" ] && unshare -m true 2>/dev/null; then
    IN_NAMESPACE=1 exec unshare -m "$0"
fi
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/torture/common.sh
. "$ROOT/tests/torture/common.sh"

SMALL=$TMP/small
DB=$SMALL/app.db
if [ -z "${IN_NAMESPACE:-}" ] || ! mkdir "$SMALL" || ! mount -t tmpfs -o size=1m none "$SMALL" 2>/dev/null; then
    skip 'a full disk under the database' 'may not mount a small file system of its own'
    done_testing
    exit
fi
stream_database() { { echo 'PRAGMA journal_mode=WAL;'; cat "$ROOT"/schema/*.sql; } | sqlite3 "$DB" >/dev/null; }
stream_sql() { sqlite3 -cmd '.timeout 10000' "$DB" "$1"; }

begin() { # SIZE: an empty stream, a database of its own on so much disk, the relay
    mount -o remount,size="$1" "$SMALL"
    rm -rf "${SMALL:?}"/* "$STREAM" "$TMP"/events.* "${LEDGERS:?}"/*
    torture_database
    stream_emit 1
    start
    await 10 stream_is_complete
}

start() {
    outbox-relay --db "$DB" --jsonl "$STREAM" 2>"$TMP/relay.log" &
    relay=$!
}

fill() { fallocate -l "$(df -k --output=avail "$SMALL" | tail -n 1)K" "$SMALL/ballast"; }

told() { cat "$LEDGERS"/* | grep -c ^OK; }
told_more() { [ "$(told)" -gt "$1" ]; }
writer_is_told() { grep -qi 'full' "$TMP"/writer-*.out; }
acked() { stream_sql "SELECT acked_seq FROM consumer_offsets WHERE consumer = 'jsonl'"; }
acked_more() { [ "$(acked)" -gt "$1" ]; }

end() { # WHAT: room is made, and all must come right
    local before
    before=$(told)
    mount -o remount,size=32m "$SMALL"
    ok "$1: with room again the writer goes on" await 20 told_more $((before + 20))
    writers_stop
    ok "$1: and so does the same relay" kill -0 "$relay"
    kill "$relay"
    wait "$relay"
    is "$1: which ends as if nothing had been" $? 0
    ok "$1: all is drained" relay_once
    judge "$1: nothing that was told OK is missing, and nothing else is there" --drained
}

# ---- It runs full of data

begin 1m
writer_start a 0 1000
ok 'full: the writer is told' await 20 writer_is_told
ok 'full: what is committed is delivered' await 10 stream_is_complete
wal=$(stat -c %s "$DB-wal") data=$(stat -c %s "$DB")
ok "it is full of data ($data), not of a WAL ($wal)" [ "$data" -gt "$wal" ]
before=$(told)
mount -o remount,size=1300k "$SMALL"
ok 'a little room serves for data too' await 20 told_more $((before + 200))
end 'full'

# ---- Something else fills it, and the database has free pages

begin 3m
outboxctl --db "$DB" set history 0s >/dev/null
writer_start a 200
wait "${writers[@]}"
is_reclaimed() { [ "$(stream_sql 'SELECT count(*) FROM change_log')" = 0 ]; }
ok 'the janitor has reclaimed all' await 20 is_reclaimed
fill
before=$(told)
for round in 1 2 3 4 5 6; do # each waits for the janitor: a writer that is faster may find the disk full, and rightly
    writers=()
    writer_start "b$round" 25
    wait "${writers[@]}"
    await 20 is_reclaimed || fail "round $round on a full disk: delivered, acknowledged and reclaimed" "$(cat "$TMP/relay.log")"
done
ok 'on a full disk with free pages events are written, delivered, acknowledged and reclaimed' told_more $((before + 200))
kill "$relay"
wait "$relay"
is 'the relay ends as if nothing had been' $? 0
last=$(stream_sql "SELECT seq FROM sqlite_sequence WHERE name = 'change_log'")
is 'and all lines are there' "$(stream_chain)" "1 $last $last"
umount "$SMALL"
done_testing
