# relay.sh — what end-to-end tests of the relay share: a database written by the sqlite3 shell alone, and a relay in the
# background. Sourced after tap.sh.
# shellcheck shell=bash

DB=$TMP/shop.db

# A database as somebody would make it who has nothing but SQL.
new_database() {
    rm -f "$DB" "$DB"-* "$DB".*
    sqlite3 -bail "$DB" 'PRAGMA journal_mode=WAL' >/dev/null && sqlite3 -bail "$DB" <"$ROOT/schema/001-outbox.sql"
}

sql() { sqlite3 -bail -cmd '.timeout 5000' "$DB" "$1"; }

# emit COUNT [KEY]: that many events in one transaction.
emit() {
    sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
         INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', '${2:-k}', json_object('n', i) FROM n"
}

acked() { sql "SELECT acked_seq FROM consumer_offsets WHERE consumer = '$1'"; }
is_acked() { [ "$(acked "$1")" = "$2" ]; }

# relay ARGUMENT…: in the foreground; out, err and $code.
relay() {
    timeout -k 5 60 outbox-relay --db "$DB" "$@" >"$TMP/out" 2>"$TMP/err"
    code=$?
}

# start NAME ARGUMENT…: in the background; NAME.out, NAME.err, and its process in $pid.
start() {
    local name=$1
    shift
    outbox-relay --db "$DB" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" &
    pid=$!
}

# ends PID: waits for it; its exit code in $code. For one that doesn't end in 20 s it is "late".
ends() {
    if await 20 eval "! kill -0 $1"; then
        wait "$1"
        code=$?
    else
        code=late
    fi
}

seqs() { sed -nE 's/^\{"seq":([0-9]+),.*/\1/p' "$1" | tr '\n' ' '; }
