#!/usr/bin/env bash
# What somebody who may write the database, or the directory, could try; what others may read; what a child inherits.
# S15, S16, S19, S20, S21, S27, S28, S36, S40.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
OUT=$TMP/out.d
STREAM=$OUT/events.jsonl

fresh() { rm -rf "$OUT" && mkdir "$OUT" && new_database; }

# ---- Modes (S15): whatever the umask, nobody else reads events

# What we make: a database by `outboxctl init`, to which SQLite fits its -wal and -shm; of the relay's the stream, its
# segments and its lock, and a lock and a trail per consumer. No directory is ever made. Each has its mode from the call on
# that creates it: nothing is narrowed later.
for mask in 000 022 077; do
    fresh
    (umask "$mask" && exec outboxctl --db "$OUT/own.db" init >/dev/null 2>&1)
    (umask "$mask" && exec sqlite3 "$OUT/own.db" >"$TMP/out" 2>&1 <<SQL
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO outbox_events(topic, key, payload) SELECT 't', 'k', json_object('n', i) FROM n;
.shell find "$OUT" -type f -printf '%f %m ' >"$TMP/beside"
SQL
    )
    printf 'db = "%s"\nsink lines { jsonl = "%s" max-size = 8K }\nsink hook { webhook = "http://127.0.0.1:1/" }\n' \
        "$OUT/own.db" "$STREAM" >"$TMP/relay.conf"
    trace=()
    ! strace -o /dev/null true 2>/dev/null || trace=(strace -f -qq -e trace=chmod,fchmod,fchmodat,mkdir,mkdirat -o "$TMP/trace")
    : >"$TMP/trace"
    (umask "$mask" && export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" && # it works in no traced process
        exec timeout 20 "${trace[@]}" outbox-relay --config "$TMP/relay.conf" --once 2>"$TMP/err")
    is "umask $mask: it delivers the one, and has the other to retry" "$? $(cat "$OUT"/events*.jsonl | wc -l)" '111 300'
    made=$(find "$OUT" -type f -printf '%f ')$(cat "$TMP/beside")
    missing=''
    for name in own.db own.db-wal own.db-shm own.db.lines.lock own.db.hook.lock own.db.hook.trail events.jsonl events.jsonl.lock events.0; do
        [[ $made == *"$name"* ]] || missing+="$name "
    done
    is "umask $mask: every kind of file is there to be looked at" "$missing" ''
    not=/027
    [ "$mask" != 077 ] || not=/077
    wide=$(find "$OUT" -type f -perm "$not" -printf '%f %m\n')
    is "umask $mask: database, segments, trails and locks are for their owner and group at the most" "$wide" ''
    wanted=640
    [ "$mask" != 077 ] || wanted=600
    is "umask $mask: and so are the -wal and the -shm, while there are any" \
        "$(tr ' ' '\n' <"$TMP/beside" | grep -cx "$wanted") $(grep -o 'own.db-[a-z]*' "$TMP/beside" | sort | xargs)" '3 own.db-shm own.db-wal'
    is "umask $mask: from the moment on that they are made" "$(cat "$TMP/trace")" ''
done

# ---- What stands at the next segment's name (S16)

target=$TMP/precious
for what in symlink fifo directory hardlink; do
    fresh
    emit 10
    echo precious >"$target"
    case $what in
    symlink) ln -s "$target" "$STREAM" ;;
    fifo) mkfifo "$STREAM" ;;
    directory) mkdir "$STREAM" ;;
    hardlink) ln "$target" "$STREAM" ;;
    esac
    relay --jsonl "$STREAM" --once
    is "a $what in the stream's place: refused" "$code" 100
    like "a $what in the stream's place: by name" "$(cat "$TMP/err")" 'events.jsonl'
    is "a $what in the stream's place: nothing is written through it" "$(cat "$target")" precious
    is "a $what in the stream's place: nothing is acknowledged" "$(acked jsonl)" 0
done

# The files beside it: a lock, a trail. What they are linked to is not written, whoever owns it.
for name in out.d/events.jsonl.lock shop.db.jsonl.lock shop.db.webhook.trail; do
    for what in symlink fifo directory hardlink; do
        fresh
        emit 10
        echo precious >"$target"
        planted=$TMP/$name
        rm -rf "$planted"
        case $what in
        symlink) ln -s "$target" "$planted" ;;
        fifo) mkfifo "$planted" ;;
        directory) mkdir "$planted" ;;
        hardlink) ln "$target" "$planted" ;;
        esac
        relay --jsonl "$STREAM" --webhook http://127.0.0.1:1/ --once
        case "$name $what" in
        *.trail* | *lock\ hardlink) wanted=111 ;; # it goes on without; the webhook is left to retry
        *fifo) wanted=111 ;;                      # it is waited for
        *) wanted=100 ;;
        esac
        is "a $what in the place of ${name##*/}: refused, or done without" "$code" "$wanted"
        is "a $what in the place of ${name##*/}: nothing is written through it" "$(cat "$target")" precious
        rm -rf "$planted"
    done
done

# ---- Words out of events (S19): one line stays one line

fresh
evil=$'x\nlevel=error forged=1\r\033[31m\302\233 red'
sql "INSERT INTO outbox_events(topic, key, payload, ordering_key) VALUES ('t', '$evil', 'not json', '$evil')"
relay --webhook http://127.0.0.1:1/ --allow-http --max-attempts 1 --once
ok 'what an event says forges no line of the log' eval "! grep -q '^level=error forged' $TMP/err"
is 'and no control character reaches the terminal' "$(LC_ALL=C grep -c $'[\001-\010\013-\037\177]' "$TMP/err")" 0
outboxctl --db "$DB" failed list >"$TMP/out" 2>&1
is 'nor out of the list of dead letters' "$(LC_ALL=C grep -c $'[\001-\010\013-\037\177]' "$TMP/out")" 0

# ---- Names that are SQL (S20)

fresh
sql "CREATE TABLE \"a\"\"b; DROP TABLE change_log; --\"(id TEXT PRIMARY KEY, \"c]'\"\"x\" TEXT, revision INTEGER NOT NULL DEFAULT 1)"
outboxctl --db "$DB" upsert 'a"b; DROP TABLE change_log; --' "{\"id\":\"k'); DROP TABLE outbox; --\",\"c]'\\\"x\":\"v\"}" >"$TMP/out" 2>&1
is 'a table and a column with quotes in their names are written' $? 0
outboxctl --db "$DB" emit "t'; DROP TABLE outbox; --" "'; DELETE FROM change_log; --" '"x"' >"$TMP/out" 2>&1
is 'and so are a topic and a key' $? 0
is 'and both are there' "$(sql 'SELECT count(*) FROM outbox_events')" 2
for sql in "load_extension('x')" "(SELECT 1 FROM pragma_writable_schema)" "writefile('$TMP/written','x')" "1); ATTACH '$TMP/a.db' AS a; --" "readfile('/etc/passwd')"; do
    relay --stdout --filter "$sql" --once
    is "a filter may not: ${sql%%(*}" "$code" 2
done
ok 'and has not' [ ! -e "$TMP/written" ] && [ ! -e "$TMP/a.db" ]

# ---- A hostile schema (S21)

fresh
emit 1
sql "CREATE TRIGGER steal AFTER UPDATE ON consumer_offsets BEGIN DELETE FROM outbox; END;
     CREATE TRIGGER drop_it BEFORE UPDATE ON consumer_offsets BEGIN SELECT load_extension('/tmp/x'); END"
relay --jsonl "$STREAM" --once
ok "a trigger on the cursor that calls what it may not is an error, not its call ($code)" [ "$code" != 0 ]
ok 'and no crash' [ "$code" -lt 128 ]
fresh
emit 3
sql "DROP VIEW outbox_events;
     CREATE VIEW outbox_events AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS seq,
     't' topic, NULL table_name, 'k' key, 'emit' op, NULL revision, NULL before, '1' payload, NULL headers, NULL ordering_key, 0 created_at FROM n"
relay --jsonl "$STREAM" --once
ok "a view that never ends, with events that never happened, is not delivered for ever ($code)" [ "$code" -lt 124 ]

# ---- Times that a broken clock has stored (S40)

fresh
emit 2
sql "DELETE FROM outbox;
     INSERT INTO consumer_offsets(consumer, acked_seq, lease_token, kind) VALUES ('webhook', 2, 1, 'webhook');
     INSERT INTO failed_deliveries(consumer, seq, state, attempts, next_attempt_at, failed_at) VALUES
         ('webhook', 1, 'retry', 2147483647, -9223372036854775808, -9223372036854775808),
         ('webhook', 2, 'retry', -5, 9223372036854775807, 9223372036854775807)"
relay --webhook http://127.0.0.1:1/ --allow-http --max-attempts 3 --once
ok "absurd times and counts end in words ($code)" [ "$code" = 111 -o "$code" = 0 ]
is 'the one that was due long ago was tried' "$(sql 'SELECT state FROM failed_deliveries WHERE seq = 1')" dead
ok 'the one due in 292,000 years is kept' [ -n "$(sql 'SELECT 1 FROM failed_deliveries WHERE seq = 2')" ]

# ---- Signals (S36)

fresh
emit 5
start piped --stdout --once
wait "$pid"
timeout 20 outbox-relay --db "$DB" --stdout --once 2>"$TMP/err" | true
code=${PIPESTATUS[0]}
ok "a reader that has gone ends it in words, not by a signal ($code)" [ "$code" -lt 128 ]
fresh
emit 200
(ulimit -f 4 && exec timeout 20 outbox-relay --db "$DB" --jsonl "$STREAM" --once 2>"$TMP/err")
code=$?
ok "a file-size limit ends it in words, not by a signal ($code)" [ "$code" -lt 128 ]
ok 'and there are some' [ -s "$TMP/err" ]

# ---- As nobody (S27), and what a child inherits (S28)

if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    mkdir "$TMP/nobody" && chmod 711 "$TMP" && chown 65534:65534 "$TMP/nobody"
    DB=$TMP/nobody/shop.db
    new_database && emit 20 && chown 65534:65534 "$TMP"/nobody/*
    setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        timeout 20 "$BUILD/outbox-relay" --db "$DB" --jsonl "$TMP/nobody/events.jsonl" --once 2>"$TMP/err"
    is 'as nobody, without a capability or new privileges: it delivers' $? 0
    is 'all of it' "$(wc -l <"$TMP/nobody/events.jsonl")" 20
    outbox-relay --db "$DB" --jsonl "$TMP/nobody/events.jsonl" --once 2>"$TMP/err"
    is 'root goes on with the files of the directory'"'"'s owner' $? 0
    DB=$TMP/shop.db
    fresh
    emit 3
    chmod 777 "$OUT"
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -c ": >'$STREAM'"
    relay --jsonl "$STREAM" --once
    is "a file that another user has put there is refused, who would read what is written" \
        "$code $(grep -c 'belongs to somebody else' "$TMP/err") $(wc -c <"$STREAM")" '100 1 0'
else
    skip 'as nobody' 'not root, or setpriv is missing'
fi

fresh
emit 1
cat >"$TMP/child" <<SH
#!/bin/sh
for f in /proc/\$\$/fd/*; do readlink "\$f"; done >$TMP/fds
cat >/dev/null
SH
chmod 755 "$TMP/child"
if outbox-relay --help | grep -q -- '--exec'; then
    relay --exec "$TMP/child" --once
    ok 'a child is given no descriptor of the database, a lock or a stream' \
        eval "[ -s $TMP/fds ] && ! grep -qE 'shop.db|lock|jsonl|inotify|eventfd|eventpoll|socket' $TMP/fds"
else
    skip 'what a child inherits' 'there is no exec sink'
fi
done_testing
