#!/usr/bin/env bash
# R28: what may lie where the database should be: one line each, the right code, not a byte changed.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

sums() { find "$TMP/odd" -type f -name 'shop.db' -exec sha256sum {} + | cut -c1-64; }

# refused WHAT CODE WORDS: relay and outboxctl say so, each in one line, and change nothing.
refused() {
    local what=$1 wanted=$2 words=$3 before
    before=$(sums)
    timeout 20 outbox-relay --db "$DB" --jsonl "$TMP/odd/out.jsonl" --once >"$TMP/out" 2>"$TMP/err"
    is "$what: the relay ends with $wanted" "$?" "$wanted"
    like "$what: and says why" "$(cat "$TMP/err")" "$words"
    ok "$what: in few words" [ "$(wc -l <"$TMP/err")" -le 3 ]
    timeout 20 outboxctl --db "$DB" status >"$TMP/out" 2>"$TMP/err"
    is "$what: outboxctl too" "$?" "$wanted"
    like "$what: with the same words" "$(cat "$TMP/err")" "$words"
    is "$what: the file is as it was" "$(sums)" "$before"
    rm -rf "$TMP/odd"
    mkdir -p "$TMP/odd"
}

mkdir -p "$TMP/odd"
DB=$TMP/odd/shop.db

: >"$DB"
refused 'an empty file' 100 'outbox'

head -c 20000 /dev/urandom >"$DB"
refused 'no database' 100 'not a database'

mkdir "$DB"
refused 'a directory' 100 'is a directory'

new_database && sql "UPDATE outbox_meta SET value = 99 WHERE name IN ('schema_version', 'min_version')"
refused 'a schema from the future' 100 'upgrade'

new_database && sql 'DROP VIEW outbox_events; DROP TABLE change_log'
refused 'a table that is missing' 100 'no such table'

sqlite3 "$DB" 'CREATE TABLE outbox(mine TEXT); INSERT INTO outbox VALUES (1)'
refused "somebody else's outbox" 100 'outbox tables'

new_database && sql "DELETE FROM outbox_meta WHERE name = 'source'"
refused 'a source that is missing' 100 'no source'

# An application's own ids are none of our business.
new_database && sql 'PRAGMA application_id = 4711; PRAGMA user_version = 7' && emit 1
relay --jsonl "$TMP/odd/out.jsonl" --once
is "the application's own application_id and user_version are nobody's concern" "$code" 0
is 'and stay' "$(sql 'PRAGMA application_id; PRAGMA user_version' | paste -sd' ')" '4711 7'
rm -rf "$TMP/odd" && mkdir "$TMP/odd"

# Read-only, for somebody who is not root.
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    new_database && emit 1
    chmod 711 "$TMP" && chmod 755 "$TMP/odd" && chmod 644 "$DB"
    before=$(sums)
    timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
        "$BUILD/outbox-relay" --db "$DB" --stdout --consumer c --once >"$TMP/out" 2>"$TMP/err"
    code=$?
    ok "not ours to write: it ends with 100 or 111 ($code)" [ "$code" = 100 -o "$code" = 111 ]
    ok 'not ours to write: in words' grep -qiE 'read-?only|permission|write|owner|WAL' "$TMP/err"
    is 'not ours to write: the file is as it was' "$(sums)" "$before"
    chmod 600 "$DB"
    timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
        "$BUILD/outbox-relay" --db "$DB" --stdout --consumer c --once >"$TMP/out" 2>"$TMP/err"
    code=$?
    ok "not ours to read: it ends with 100 or 111 ($code)" [ "$code" = 100 -o "$code" = 111 ]
    ok 'not ours to read: in words' grep -qiE 'open|permission' "$TMP/err"
else
    skip "a database that is somebody else's" 'not root, or setpriv is missing'
fi
done_testing
