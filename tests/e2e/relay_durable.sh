#!/usr/bin/env bash
# relay_durable.sh — nothing leaves before it is on stable storage, and nobody opens the database's files by hand.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

if ! strace -f -o /dev/null true 2>/dev/null; then
    skip "the WAL is synced before delivery" "strace is missing or not permitted"
    done_testing
    exit
fi

export ASAN_OPTIONS=detect_leaks=0 # the leak checker cannot work in a traced process
new_database
# The keeper has the WAL stay; its commits, at NORMAL, sync nothing.
mkfifo "$TMP/keeper"
sqlite3 "$DB" <"$TMP/keeper" >/dev/null &
exec 9>"$TMP/keeper"
echo "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;
      INSERT INTO outbox_events(topic, payload) VALUES('t', '1'), ('t', '2');" >&9
is_committed() { [ "$(sql 'SELECT count(*) FROM outbox')" = 2 ]; }
ok "an event is committed" await 10 is_committed
strace -f -y -e trace=write,pwrite64,fdatasync,fsync,openat -o "$TMP/trace" \
    outbox-relay --db "$DB" --stdout --once >"$TMP/out" 2>"$TMP/err"
is "it is delivered" "$(seqs "$TMP/out")" "1 2 "
synced=$(grep -nE 'f(data)?sync\([0-9]+<[^>]*-wal>' "$TMP/trace" | head -n 1 | cut -d: -f1)
written=$(grep -nE 'write\(1<' "$TMP/trace" | head -n 1 | cut -d: -f1)
ok "the WAL was synced (line ${synced:-none}) before the first byte left (line ${written:-none})" \
    test "${synced:-999999}" -lt "${written:-0}"

strace -f -y -e trace=fdatasync,fsync -e inject=fdatasync,fsync:error=EIO -P "$DB-wal" -o "$TMP/trace" \
    outbox-relay --db "$DB" --stdout --once >"$TMP/out" 2>"$TMP/err"
is "a WAL that cannot be synced is 100" "$?" 100
is "and nothing is delivered from it" "$(cat "$TMP/out")" ""
exec 9>&-

# The calls themselves, of a stream that rotates: a file is made (c), its data synced (s), renamed (r), the directory synced (d).
mkdir "$TMP/stream"
sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
     INSERT INTO outbox_events(topic, payload) SELECT 't', i FROM n"
strace -f -y -e trace=openat,fdatasync,fsync,renameat2 -o "$TMP/trace" \
    outbox-relay --db "$DB" --jsonl "$TMP/stream/events.jsonl" --jsonl-max-size 4K --once 2>"$TMP/err"
calls=$(sed -nE -e '/resumed>/d' -e '/openat\(.*"events.jsonl", [A-Z_|]*O_CREAT/s/.*/c/p' \
    -e '/fdatasync\([0-9]+<[^>]*events.jsonl/s/.*/s/p' -e '/renameat2\(.*"events.jsonl"/s/.*/r/p' \
    -e '/fsync\([0-9]+<[^>]*\/stream>/s/.*/d/p' "$TMP/trace" | tr -d '\n')
like "a segment is synced, renamed, its directory synced, and the new file's name too ($calls)" "$calls" srdcd
like "and the first file's name before that" "${calls%%srdcd*}" cd
done_testing
