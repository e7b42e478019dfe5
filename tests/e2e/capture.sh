#!/usr/bin/env bash
# capture.sh — a captured table is logged whoever writes it: the sqlite3 shell and Python, with their own settings; and
# verify finds the writes that escaped.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

new_database
sql "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, email TEXT UNIQUE, revision INTEGER NOT NULL DEFAULT 1);
     CREATE TABLE lines(id INTEGER PRIMARY KEY, \"order\" TEXT REFERENCES orders(id) ON DELETE CASCADE, note,
                        revision INTEGER NOT NULL DEFAULT 1)"
log() { sql "SELECT group_concat(op || ' ' || key || ' ' || revision, ', ') FROM (SELECT * FROM change_log ORDER BY seq)"; }
forget() { sql "DELETE FROM lines; DELETE FROM orders; DELETE FROM outbox; DELETE FROM change_log"; }

# ---- The command ----

ctl capture orders lines
is "two tables are captured" "$code $(cat "$TMP/said")" "0 "
ctl capture orders --options '{"topics":"x"}'
is "an unknown option is named" "$code $(cat "$TMP/said")" \
    "2 outboxctl: capture orders: no option is called topics; they are topic, ordering_key, exclude, ops, only_if_changed"
ctl capture orders --options '{"exclude":["emali"]}'
is "so is an unknown column" "$code $(cat "$TMP/said")" "2 outboxctl: capture orders: exclude: the table has no column emali"
ctl capture lines nowhere --options '{"topic":"t"}'
is "all tables or none" "$code $(sql "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%\"topic\":\"t\"%'")" "2 0"

# ---- The sqlite3 shell ----

for recursive in OFF ON; do
    sqlite3 "$DB" <<SQL
PRAGMA trusted_schema = OFF;
PRAGMA recursive_triggers = $recursive;
PRAGMA foreign_keys = ON;
INSERT INTO orders(id, email) VALUES ('a', 'x'), ('b', 'y');
INSERT INTO lines(id, "order") VALUES (1, 'a'), (2, 'b');
REPLACE INTO orders(id, email) VALUES ('c', 'y');
UPDATE orders SET total = 2 WHERE id IN ('a', 'c');
INSERT INTO orders(id, total) VALUES ('a', 3) ON CONFLICT DO UPDATE SET total = excluded.total;
INSERT OR IGNORE INTO orders(id) VALUES ('a');
DELETE FROM orders WHERE id = 'a';
SQL
    is "the shell, recursive_triggers = $recursive: every statement, cascades and displaced rows too" \
        "$(log | sed 's/, /\n/g' | sort | xargs -d '\n')" \
        "$(printf '%s\n' "insert a 1" "insert b 1" "insert 1 1" "insert 2 1" "delete b 2" "delete 2 2" "insert c 1" "update a 2" \
            "update c 2" "update a 3" "delete a 4" "delete 1 2" | sort | xargs -d '\n')"
    is "and all of it is owed" "$(sql "SELECT count(*) FROM change_log WHERE seq NOT IN (SELECT seq FROM outbox)")" 0
    forget
done

# ---- Python ----

if command -v python3 >/dev/null; then
    python3 - "$DB" >"$TMP/python" <<'PYTHON'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("INSERT INTO orders(id, total) VALUES (?, ?)", ("p", 0.1))
db.commit()
db.execute("UPDATE orders SET total = ? WHERE id = 'p'", (1 / 3,))
db.rollback()
db.execute("UPDATE orders SET total = ? WHERE id = 'p'", (float("inf"),))
db.executemany("INSERT INTO lines(note) VALUES (?)", [("é\u2028\"\\\n\x01\x00z",), (b"\x00\xff",), (2**63 - 1,), (None,)])
db.commit()
db.execute("INSERT INTO outbox_events(topic, key, payload) VALUES ('mail', 'p', '{\"to\":1}')")
db.commit()
for bad in (None, ""):
    try:
        db.execute("INSERT INTO outbox_events(topic, payload) VALUES (?, '1')", (bad,))
    except sqlite3.IntegrityError as e:
        print(e)
PYTHON
    is "Python's statements are logged, what it rolls back is not" "$(sql "SELECT op, key, revision, payload FROM change_log ORDER BY seq")" \
        'insert|p|1|{"id":"p","total":0.1,"email":null,"revision":1}
update|p|2|{"id":"p","total":9e999,"email":null,"revision":2}
insert|1|1|{"id":1,"order":null,"note":"é\u2028\"\\\n\u0001\u0000z","revision":1}
insert|2|1|{"id":2,"order":null,"note":{"$base64":"AP8="},"revision":1}
insert|3|1|{"id":3,"order":null,"note":9223372036854775807,"revision":1}
insert|4|1|{"id":4,"order":null,"note":null,"revision":1}
emit|p||{"to":1}'
    is "an event without a topic is refused" "$(cat "$TMP/python")" 'outbox: outbox_events: topic is missing
outbox: outbox_events: topic is missing'
else
    skip "Python's statements are logged" "no python3"
fi
forget

# ---- Many rows, and what is refused ----

sql "CREATE TABLE many(id INTEGER PRIMARY KEY, name TEXT, revision INTEGER NOT NULL DEFAULT 1)"
ctl capture many
sql "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO many(name) SELECT 'n' || i FROM n"
is "INSERT … SELECT of 100,000 rows" "$(sql "SELECT count(*), max(seq) - min(seq) + 1, count(DISTINCT key), (SELECT count(*) FROM outbox) FROM change_log")" \
    "100000|100000|100000|100000"
sql "DROP TABLE many; DELETE FROM outbox; DELETE FROM change_log"
is "a row larger than max-payload is refused, and says so" \
    "$(sqlite3 "$DB" "INSERT INTO lines(note) VALUES (zeroblob(1000000))" 2>&1 | grep -c 'outbox: too big: table lines')" 1
is "nor is a key of NULL written" "$(sqlite3 "$DB" "INSERT INTO orders(total) VALUES (1)" 2>&1 | grep -c 'the key is NULL')" 1
is "and nothing of it is there" "$(sql "SELECT (SELECT count(*) FROM lines) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM change_log)")" 0

# ---- What verify finds ----

seq_of() { sql "SELECT seq FROM change_log WHERE key = '$1' ORDER BY seq DESC LIMIT 1"; }
problems() { ctl verify --json; jq -r 'select(.problem) | [.problem, .first, .text] | join(" ")' "$TMP/printed"; }
released() { sqlite3 "$DB" "$1"; } # with the triggers off
sql "INSERT INTO orders(id, total) VALUES ('k', 1e300), ('l', 2), ('m', 3), ('n', 4)"
is "rows that agree with the log" "$(problems)" ""
ctl release orders
released "UPDATE orders SET total = 5 WHERE id = 'k'; UPDATE orders SET total = 6, revision = 7 WHERE id = 'l';
          DELETE FROM orders WHERE id = 'm'"
is "a changed column, a changed revision, a row that is gone" "$(problems | sort)" \
    "$(printf '%s\n' \
        "escaped $(seq_of k) table orders, key k: column total is not as logged, and its last event is $(seq_of k): a write escaped the log" \
        "escaped $(seq_of l) table orders, key l: the row is at revision 7, not 1, and its last event is $(seq_of l): a write escaped the log" \
        "escaped $(seq_of m) table orders, key m: the row is gone, and its last event is $(seq_of m): a write escaped the log" | sort)"
ctl verify
is "it exits 1" "$code" 1
forget

ctl capture orders --options '{"topic":"shop","exclude":["email"]}'
sql "INSERT INTO orders(id, email) VALUES ('s', 'secret')"
is "a column left out is in no event" "$(sql "SELECT topic, payload FROM change_log")" 'shop|{"id":"s","total":null,"revision":1}'
is "and is no difference" "$(problems)" ""
sql "ALTER TABLE orders ADD COLUMN state"
like "after ALTER TABLE the triggers are stale, with the command that helps" "$(problems)" "run: outboxctl capture orders"
ctl upsert orders '{"id":"s","state":"new"}'
is "and the library does not write past them" "$code $(grep -c 'not up to date' "$TMP/said")" "100 1"
ctl capture orders
ctl upsert orders '{"id":"s","state":"new"}' --json
is "captured again, with what was asked for before" "$(cat "$TMP/printed") $(sql "SELECT topic, payload FROM change_log ORDER BY seq DESC LIMIT 1")" \
    "{\"table\":\"orders\",\"key\":\"s\",\"revision\":2,\"seq\":$(seq_of s)} shop|{\"id\":\"s\",\"total\":null,\"revision\":2,\"state\":\"new\"}"
is "all is well" "$(problems)" ""
sql "CREATE TRIGGER touch AFTER UPDATE ON orders BEGIN UPDATE orders SET state = 'touched' WHERE id = NEW.id; END"
like "a trigger made later is named" "$(problems)" "its own trigger touch was made later"
ctl capture orders
like "and so it is by capture" "$(cat "$TMP/said")" "its own trigger touch may write it again"
sql "UPDATE orders SET total = 8"
is "it gives one event more, and never a wrong one" \
    "$(sql "SELECT payload FROM change_log ORDER BY seq DESC LIMIT 2")" \
    '{"id":"s","total":8.0,"revision":4,"state":"touched"}
{"id":"s","total":8.0,"revision":3,"state":"new"}'
is "which the rows agree with" "$(problems)" ""

done_testing
