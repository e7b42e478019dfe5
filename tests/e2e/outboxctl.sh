#!/usr/bin/env bash
# outboxctl.sh — every command of outboxctl against real databases: what it prints where, and its exit code.
set -u
ctl=${BUILD:-build}/outboxctl
dir=$(mktemp -d) || exit 2
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
ctl=$(realpath "$ctl")
cd "$dir" || exit 2
unset OUTBOX_DB NO_COLOR
tests=0

# ok TEXT COMMAND…: the command succeeds.
ok() {
    local text=$1
    shift
    tests=$((tests + 1))
    if "$@"; then
        echo "ok $tests - $text"
    else
        echo "not ok $tests - $text"
        echo "# the last command ended with ${code:-nothing}; its output and words:"
        head -n 5 out err 2>/dev/null | sed 's/^/# /'
    fi
}

# run ARGUMENT…: outboxctl with its output in out, its words in err, its exit code in $code.
run() {
    "$ctl" "$@" >out 2>err
    code=$?
}

exits() { [ "$code" = "$1" ]; }
prints() { [ "$(<out)" = "$1" ]; }
says() { grep -qF -- "$1" err; }
silent() { [ ! -s "$1" ]; }
lines() { [ "$(wc -l <"$1")" = "$2" ]; }
one_line() { [ "$(wc -l <err)" = 1 ]; }
# sql TEXT: what a plain sqlite3 shell sees in the database.
sql() { sqlite3 -bail shop.db "$1"; }
# within SECONDS COMMAND…: waits until the command succeeds.
within() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.02
    done
}
all() { # all CHECK and CHECK …: every check succeeds
    local check=()
    for word in "$@" and; do
        if [ "$word" = and ]; then
            "${check[@]}" || { echo "# not so: ${check[*]:0:3}"; return 1; }
            check=()
        else
            check+=("$word")
        fi
    done
}

# ---- init, schema, set ----

run --db shop.db status
ok "a missing database is temporary, and says how to make one" \
    all exits 111 and silent out and one_line and says "outboxctl --db shop.db init" and test ! -e shop.db

run --db shop.db init
ok "init creates the database" all exits 0 and silent out and says "created shop.db"
source=$(sql "SELECT value FROM outbox_meta WHERE name = 'source'")
run --db shop.db --json init
ok "init again keeps what is there" all exits 0 and grep -q "\"source\":\"$source\".*\"created\":false" out

export OUTBOX_DB=shop.db
sql 'CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL CHECK (total >= 0), revision INTEGER NOT NULL DEFAULT 1)'

run schema
sqlite3 -bail own.db '.read out'
tables() { sqlite3 "$1" "SELECT sql FROM sqlite_schema WHERE tbl_name <> 'orders' ORDER BY name"; }
ok "schema prints SQL that makes the same tables" all exits 0 and test "$(tables own.db)" = "$(tables shop.db)"

setting() { [ "$(sql "SELECT coalesce(value, 'forever') FROM outbox_meta WHERE name = '$1'")" = "$2" ]; }
run set history 2d
ok "set history is kept in microseconds" all exits 0 and setting history 172800000000
run set history forever
ok "set history forever" all exits 0 and setting history forever
run set retain 90s
ok "set retain" all exits 0 and setting retain 90000000
run set max-payload 2M
ok "set max-payload" all exits 0 and setting max_payload 2097152
run set dead-alarm 25
ok "set dead-alarm" all exits 0 and setting dead_alarm 25
run set failed-alarm never
ok "set failed-alarm never" all exits 0 and setting failed_alarm forever
for bad in "dead-alarm -1" "dead-alarm many" "failed-alarm forever" "history -1d" "history soon" "retain 5" "max-payload 0" "max-payload forever" "max-payload 9999G" "colour red"; do
    # shellcheck disable=SC2086 # two words on purpose
    run set $bad
    ok "set $bad is refused, and nothing changes" \
        all exits 2 and one_line and silent out and setting history forever and setting retain 90000000 and setting max_payload 2097152
done

# ---- rows ----

run upsert orders '{"id":"o-1","total":42.5}'
ok "upsert prints the new revision" all exits 0 and prints 1 and silent err
run upsert orders '{"id":"o-1","total":43}' --revision 1
ok "upsert at the right revision" all exits 0 and prints 2
run upsert --revision=1 orders '{"id":"o-1","total":44}'
ok "a stale revision is a conflict, and names both" \
    all exits 1 and silent out and says "expected revision 1, found 2" and \
    test "$(sql "SELECT total FROM orders WHERE id = 'o-1'")" = 43.0
echo '{"id":"o-2","total":1}' >row.json
"$ctl" upsert orders - <row.json >out 2>err; code=$?
ok "upsert reads a row from standard input" all exits 0 and prints 1
run --json upsert orders '{"id":"-3","total":9}'
ok "upsert --json names table, key, revision and seq" \
    all exits 0 and prints '{"table":"orders","key":"-3","revision":1,"seq":4}'
run get orders o-1
ok "get prints the row" all exits 0 and prints '{"id":"o-1","total":43.0,"revision":2}'
run get orders -3
ok "a key may begin with a dash" all exits 0 and prints '{"id":"-3","total":9.0,"revision":1}'
run get orders o-9
ok "get of a missing row is no" all exits 1 and silent out and one_line
run delete orders o-2 --revision 7
ok "delete at a stale revision is a conflict" all exits 1 and says "expected revision 7, found 1"
run delete orders o-2
ok "delete deletes" all exits 0 and silent out and test "$(sql "SELECT count(*) FROM orders WHERE id = 'o-2'")" = 0
run delete orders o-2
ok "delete of a missing row is no" exits 1
run upsert nosuch '{"id":1}'
ok "an unknown table is bad input" all exits 2 and one_line and says nosuch
run upsert orders '{"id":"o-4","total":-1}'
ok "the application's constraint is bad input" all exits 2 and one_line
run upsert orders 'not json'
ok "what is not JSON is bad input" all exits 2 and one_line
run upsert orders '{"id":"o-5","colour":"red"}'
ok "an unknown column is bad input, and named" all exits 2 and says colour

# ---- emit ----

run emit mail m-1 '{"to":"ann"}' --headers '{"lang":"en"}' --ordering-key ann
ok "emit prints the seq" all exits 0 and prints 6
printf 'a\0b\377' >bytes
"$ctl" emit --blob files '' - <bytes >out 2>err; code=$?
ok "emit --blob takes any bytes from standard input" \
    all exits 0 and prints 7 and test "$(sql 'SELECT hex(payload) FROM change_log WHERE seq = 7')" = 610062FF
ok "an empty KEY is none" test "$(sql 'SELECT key IS NULL FROM change_log WHERE seq = 7')" = 1
run emit mail m-2 '{"to":'
ok "a payload that is not JSON is bad input" all exits 2 and one_line
head -c 3000000 /dev/zero | tr '\0' 1 >big
"$ctl" emit mail m-3 - <big >out 2>err; code=$?
ok "a payload over max-payload is bad input" all exits 2 and one_line and says max-payload

# ---- events ----

run events
ok "events prints change_log as JSON lines" \
    all exits 0 and test "$(wc -l <out)" = 7 and \
    grep -qx "{\"seq\":2,\"id\":\"$source-2\",\"topic\":\"orders\",\"table\":\"orders\",\"key\":\"o-1\",\"op\":\"update\",\"revision\":2,\"time\":\"[^\"]*Z\",\"payload\":{\"id\":\"o-1\",\"total\":43.0,\"revision\":2},\"before\":{\"id\":\"o-1\",\"total\":42.5,\"revision\":1}}" out
run events --after 2 --limit 3
ok "events --after and --limit" \
    all exits 0 and test "$(sed -E 's/.*"seq":([0-9]+),.*/\1/' out | tr '\n' ' ')" = "3 4 5 "

"$ctl" events --after 7 --follow >followed 2>err &
follower=$!
run emit mail m-4 1
ok "events --follow prints what is committed after it began" within 10 grep -q '"seq":8,' followed
run emit mail m-5 2
ok "and goes on" within 10 grep -q '"seq":9,' followed
kill -INT $follower
wait $follower; code=$?
ok "SIGINT ends it with 0, and no line twice" all exits 0 and test "$(wc -l <followed)" = 2

"$ctl" events --after 9 --follow >followed 2>err &
follower=$!
within 10 grep -q S "/proc/$follower/stat"
sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO outbox_events(topic, key, payload) SELECT 'bulk', i, i FROM n"
ok "a transaction of 2,000 events is followed whole" within 10 lines followed 2000
kill -TERM $follower
wait $follower; code=$?
ok "SIGTERM too ends it with 0" exits 0

timeout 10 "$ctl" events --after 99999 --follow 2>err | true
code=${PIPESTATUS[0]}
ok "--follow ends when its reader does, with nothing to write" exits 0

mkfifo slow
"$ctl" events >slow 2>err &
exec 7<slow
read -r _ <&7 # it has begun, and more than the pipe holds is still to be written
free() { [ "$(sql 'PRAGMA wal_checkpoint(TRUNCATE)' | cut -d'|' -f1)" = 0 ]; }
ok "a reader that takes no more holds no transaction open" within 5 free
exec 7<&-
wait

# ---- consumers, failed, status ----

run consumers
ok "no consumer yet" all exits 0 and silent out and one_line
run status
ok "status warns that nothing is reclaimed" all exits 0 and grep -q "No consumer is registered" out
sql "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token, updated_at, kind) VALUES ('webhook', 2000, 1, 1, 'webhook'), ('jsonl', 2009, 1, 1, NULL);
     INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, last_status, last_error, failed_at)
     VALUES ('webhook', 3, 'orders/o-2', 'dead', 5, 410, 'gone' || char(10) || char(27) || '[2J', 1)"
run consumers list
ok "consumers shows how far each is" \
    all exits 0 and grep -Eq '^jsonl +- +2009 +0 ' out and grep -Eq '^webhook +webhook +2000 +9 .* 1  active' out
exec 8>shop.db.webhook.lock
flock -x 8
run --json consumers
ok "a held lock shows as held, another not" \
    all exits 0 and grep -q '"consumer":"webhook".*"held":true' out and grep -q '"consumer":"jsonl".*"held":false' out
ok "looking takes no lock file into existence" test ! -e shop.db.jsonl.lock
exec 8>&-
run failed
ok "failed shows the dead letter on one line, escaped" \
    all exits 0 and test "$(wc -l <out)" = 2 and grep -qF 'gone\n\x1b[2J' out
run failed list --json
ok "failed --json is JSON" \
    test "$(sqlite3 :memory: "SELECT json_extract(readfile('out'), '\$.last_error') = 'gone' || char(10) || char(27) || '[2J'")" = 1
run status
ok "status names who holds most, the dead letter and the command" \
    all exits 0 and grep -q "webhook holds most: 9 of the 2009 rows" out and grep -q "webhook: 1 dead letter" out and \
    grep -qF "outboxctl --db $PWD/shop.db failed list" out
run status --json
ok "status --json is one JSON object" \
    all exits 0 and test "$(wc -l <out)" = 1 and \
    test "$(sqlite3 :memory: "SELECT json_extract(readfile('out'), '\$.last_seq') || json_extract(readfile('out'), '\$.consumers[1].behind')")" = 20099
run status
ok "no colour but on a terminal" test "$(tr -cd '\033' <out | wc -c)" = 0
"$ctl" schema | sqlite3 -bail plain.db
run --db plain.db status
ok "status of a database that is not in WAL mode says so" all exits 0 and grep -q "not in WAL mode" out
ok "and leaves it so" test "$(sqlite3 plain.db 'PRAGMA journal_mode')" = delete

# ---- bad input ----

while IFS='|' read -r words expected hint; do
    # shellcheck disable=SC2086 # the words of a command line
    run $words
    ok "'outboxctl $words' is exit $expected with one line" all exits "$expected" and silent out and one_line and says "$hint"
done <<'CASES'
|2|a command is missing
staus|2|did you mean status?
frobnicate|2|outboxctl --help
status now|2|usage: outboxctl status
upsert orders|2|usage: outboxctl upsert TABLE JSON
upsert orders {} --revison 1|2|did you mean --revision?
upsert orders {} --revision one|2|--revision wants a whole number
upsert orders {} --revision -1|2|--revision wants a whole number
upsert orders {} --revision 9223372036854775808|2|--revision wants a whole number
upsert orders {} --revision|2|--revision wants a value
events --folow|2|did you mean --follow?
events --follow=yes|2|--follow takes no value
consumers sek|2|consumers list
failed lst|2|failed list
--bd x status|2|did you mean --db?
--db nowhere/shop.db get orders o-1|111|nowhere/shop.db
CASES

echo 'This is no database, but long enough to have a header of sixteen bytes.' >text.db
run --db text.db status
ok "a file that is no database is permanent" all exits 100 and one_line and says text.db
run --db text.db upsert orders '{"id":1}'
ok "for a writer too" all exits 100 and one_line and says text.db
sqlite3 bare.db 'CREATE TABLE orders(id TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)'
sum=$(cksum <bare.db)
run --db bare.db upsert orders '{"id":1}'
ok "a database without our tables is permanent, names init, and is left as it was" \
    all exits 100 and one_line and says "outboxctl --db $PWD/bare.db init" and test "$(cksum <bare.db)" = "$sum"
sqlite3 foreign.db 'CREATE TABLE outbox(mine)'
run --db foreign.db init
ok "a table of our name that isn't ours is not touched" \
    all exits 100 and one_line and says "RENAME TO" and test "$(sqlite3 foreign.db .tables | tr -d ' ')" = outbox
sqlite3 shop.db >locker.out <<'SQL' &
BEGIN IMMEDIATE;
.shell touch locked; timeout 20 sh -c 'until [ -e released ]; do sleep 0.05; done'
ROLLBACK;
SQL
locker=$!
within 10 test -e locked
run emit mail m-6 1
ok "a lock that is not given within 5 s is temporary" all exits 111 and one_line
touch released
wait $locker
if [ -e /dev/full ]; then
    "$ctl" events >/dev/full 2>err; code=$?
    ok "output that cannot be written is temporary" all exits 111 and one_line
fi
run --version
ok "--version" all exits 0 and grep -q '^outboxctl [0-9]' out
run --help
lists_all() {
    for name in init schema set new-source status upsert get delete emit events history tail snapshot consumers failed replay verify; do
        grep -q "^  $name " out || { echo "# $name is missing"; return 1; }
    done
}
ok "--help lists every command" all exits 0 and silent err and lists_all
run upsert --help
ok "a command has its own --help" all exits 0 and grep -q 'upsert TABLE JSON \[--revision N\]' out

echo "1..$tests"
