#!/usr/bin/env bash
# mod_outbox.so as others meet it: what it needs and shows, the sqlite3 shell, Python's sqlite3, another copy of SQLite.
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/extension.sh"

so=$BUILD/mod_outbox.so
needed=$(readelf -d "$so" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' | grep -vE '^(lib(c|m|asan|ubsan|tsan)\.|ld-linux)')
is "it is linked to the C library and nothing else" "$needed" ""
is "it shows its entry points and nothing else" "$(nm -D --defined-only "$so" | awk '{print $3}' | sort | tr '\n' ' ')" \
    "sqlite3_modoutbox_init sqlite3_outbox_init "
is "it was built against no SQLite: every call goes through the host's table" \
    "$(nm -D --undefined-only "$so" | grep -c ' sqlite3_')" 0

# ---- The sqlite3 shell ----
DB=$TMP/shop.db
shell() { host sqlite3 "$DB" "$@" 2>&1; }
is "the shell loads it by its path without .so, and makes the tables" \
    "$(shell ".load $BUILD/mod_outbox" 'SELECT outbox_init()')" 1
cp "$so" "$TMP/outbox.so" && cp "$so" "$TMP/liboutbox.so"
is "under another name too" "$(shell ".load $TMP/outbox" ".load $TMP/liboutbox" 'SELECT outbox_version()')" \
    "$(sed -nE 's/^VERSION *:= *//p' "$ROOT/Makefile")"
shell 'CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, revision INTEGER NOT NULL DEFAULT 1)'
is "writes work" "$(shell ".load $BUILD/mod_outbox" "SELECT outbox_upsert('orders', json_object('id', 'o-1', 'total', 42.5))" \
    "SELECT outbox_emit('mail', 'm-1', '{\"to\":\"ann\"}')")" "1
2"
like "a conflict says so" "$(shell ".load $BUILD/mod_outbox" "SELECT outbox_upsert('orders', '{\"id\":\"o-1\"}', 7)")" \
    "outbox: conflict: table orders, key o-1: expected revision 7, found 1"
is "a script stops there with -bail" "$(shell -bail ".load $BUILD/mod_outbox" "SELECT outbox_delete('orders', 'o-1', 7)" \
    'SELECT 1' | tail -1 | grep -c conflict)" 1
is "the relay delivers what was written" "$(outbox-relay --db "$DB" --stdout --once 2>/dev/null | jq -c '[.seq, .op, .key]')" \
    '[1,"insert","o-1"]
[2,"emit","m-1"]'

# ---- Work in SQL alone, each event exactly once, over any number of runs ----
cat >"$TMP/work.sql" <<'SQL'
.bail on
SELECT outbox_take('totals') IS NULL;
CREATE TEMP TABLE batch AS SELECT * FROM outbox_read('totals', 1);
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS totals(seq INTEGER PRIMARY KEY, op);
INSERT INTO totals SELECT seq, op FROM batch;
SELECT outbox_ack('totals', max(seq)) FROM batch;
COMMIT;
SQL
for _ in 1 2 3; do shell ".load $BUILD/mod_outbox" ".read $TMP/work.sql" >"$TMP/worked" || break; done
is "a consumer in SQL alone does its work once" "$(shell 'SELECT group_concat(seq || op) FROM totals')" "1insert,2emit"
is "the shell's end leaves no write-ahead log behind" "$(find "$TMP" -name '*-wal' -o -name '*-shm')" ""

# ---- Python's sqlite3 ----
if [ -n "$PYTHON" ]; then
    host "$PYTHON" - "$DB" "$BUILD/mod_outbox" >"$TMP/python" 2>&1 <<'PY'
import sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.enable_load_extension(True)
con.load_extension(sys.argv[2])
print(con.execute("SELECT outbox_upsert('orders', ?)", ('{"id":"o-2"}',)).fetchone()[0])
try:
    con.execute("SELECT outbox_upsert('orders', ?, 9)", ('{"id":"o-2"}',)).fetchone()
except sqlite3.IntegrityError as error:
    print(error, getattr(error, "sqlite_errorname", "SQLITE_CONSTRAINT_FUNCTION"))
con.execute("SELECT outbox_take('py')")
rows = con.execute("SELECT seq FROM outbox_read('py')")  # left half read
print(next(rows)[0])
con.close()
con = sqlite3.connect(sys.argv[1])
print("closed")
PY
    is "Python loads it, and its errors are sqlite3's" "$(cat "$TMP/python")" \
        "1
outbox: conflict: table orders, key o-2: expected revision 9, found 1 SQLITE_CONSTRAINT_FUNCTION
1
closed"
else
    skip "Python loads it, and its errors are sqlite3's" "$no_python"
fi

make -C "$ROOT" --no-print-directory BUILD="$BUILD" ${SANITIZE:+SANITIZE=$SANITIZE} install DESTDIR="$TMP/root" PREFIX=/usr >"$TMP/install.log" 2>&1
is "make install puts it into lib, with its man page" "$(find "$TMP/root" -name 'mod_outbox*' -printf '%P %m\n' | sort)" \
    "usr/lib/mod_outbox.so 755
usr/share/man/man3/mod_outbox.3 644"
done_testing
