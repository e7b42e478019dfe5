#!/usr/bin/env bash
# relay_signals.sh — a running relay: commits found without polling, stops, reloads, a reader that goes away.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

# voluntary_switches PID: how often its threads have gone to sleep.
voluntary_switches() { cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'; }

is_reclaimed() { [ "$(sql 'SELECT count(*) FROM outbox')" = 0 ]; }
# all_acked SEQ CONSUMER…: each of them has acknowledged it.
all_acked() {
    local seq=$1 consumer
    shift
    for consumer; do is_acked "$consumer" "$seq" || return 1; done
}

new_database
start one --stdout --consumer one
ok "a new consumer is registered" await 10 is_acked one 0
emit 1
ok "a commit is delivered" await 10 test -s "$TMP/one.out"
ok "and acknowledged" await 10 is_acked one 1
is "an idle relay holds up no checkpoint" "$(sql 'PRAGMA wal_checkpoint(TRUNCATE)')" "0|0|0"
emit 1
ok "and finds the next commit in the new WAL" await 10 is_acked one 2

# After the last commit (the janitor's, a second after the acknowledgement) come looks at growing intervals.
is_quiet() { [ $(($(date +%s) - $(stat -c %Y "$DB-wal"))) -ge 4 ]; }
ok "what was acknowledged is reclaimed" await 10 is_reclaimed
await 20 is_quiet
if ldd "$BUILD/outbox-relay" | grep -q libtsan; then
    skip "an idle relay wakes less than twice a second" "the thread sanitizer has a thread of its own that wakes"
else
    before=$(voluntary_switches "$pid")
    read -rt 5 <> <(:)
    after=$(voluntary_switches "$pid")
    ok "an idle relay wakes less than twice a second ($((after - before)) in 5 s)" test $((after - before)) -lt 10
fi

emit 500
kill -TERM "$pid"
ends "$pid"
is "SIGTERM ends it with 0" "$code" 0
is "having acknowledged exactly what it delivered" "$(acked one)" "$(wc -l <"$TMP/one.out" | tr -d ' ')"

start two --stdout --consumer one
is_claimed() { [ "$(sql "SELECT lease_token FROM consumer_offsets WHERE consumer = 'one'")" = 2 ]; }
await 10 is_claimed
ok "the next one goes on" await 10 is_acked one 502
kill -INT "$pid"
ends "$pid"
is "SIGINT ends it with 0" "$code" 0
is "and between the two each event came once, in order" "$(cat "$TMP/one.out" "$TMP/two.out" | sed -E 's/.*"seq":([0-9]+).*/\1/' | tr '\n' ' ')" "$(seq 1 502 | tr '\n' ' ')"

# A reader that has fallen asleep with a full pipe.
mkfifo "$TMP/pipe"
outbox-relay --db "$DB" --stdout --consumer slow --from 1 >"$TMP/pipe" 2>"$TMP/slow.err" &
pid=$!
exec 7<"$TMP/pipe"
emit 2000
read -rn 1 -u 7 _
kill -TERM "$pid"
read -rt 1 <> <(:)
exec 8<&7
timeout 20 cat <&8 >"$TMP/rest" &
ends "$pid"
is "a reader that was asleep does not keep it from stopping" "$code" 0
wait %% 2>/dev/null
is "and has whole lines only" "$(tail -c 1 "$TMP/rest" | tr -d '\n')" ""
exec 7<&- 8<&-

(
    outbox-relay --db "$DB" --stdout --from 1 2>"$TMP/pipe.err"
    echo $? >"$TMP/pipe.code"
) | head -n 1 >/dev/null
is "a reader that goes away ends it with 111" "$(cat "$TMP/pipe.code")" 111
like "saying so" "$(cat "$TMP/pipe.err")" "standard output"

# Beside another sink it takes only itself away.
printf 'db = "%s"\nsink shown { stdout = true }\nsink beside { null = true }\n' "$DB" >"$TMP/beside.conf"
outbox-relay --config "$TMP/beside.conf" 2>"$TMP/beside.err" > >(head -n 1 >/dev/null) &
pid=$!
for _ in 1 2 3; do emit 2000; done
ok "beside others it is said to be gone" await 10 grep -q 'shown: the other sinks go on without it' "$TMP/beside.err"
emit 1
ok "and they go on" await 10 all_acked "$(sql 'SELECT max(seq) FROM change_log')" beside
kill -TERM "$pid"
ends "$pid"
is "until the end, which is 111 then" "$code" 111

# One line is half written into a full pipe: the first signal waits for the rest of it, the second does not.
exec 7<>"$TMP/pipe"
outbox-relay --db "$DB" --stdout --consumer stuck --from 1 >"$TMP/pipe" 2>"$TMP/stuck.err" &
pid=$!
has_begun() { [ "$(sql "SELECT acked_seq > 0 FROM consumer_offsets WHERE consumer = 'stuck'")" = 1 ]; }
await 10 has_begun
kill -TERM "$pid"
ok "a stop is acknowledged in words" await 10 grep -q stopping "$TMP/stuck.err"
ok "and waits for a line that is half written" kill -0 "$pid"
kill -TERM "$pid"
ends "$pid"
is "a second signal ends it at once, with 111" "$code" 111
exec 7<&-

# SIGHUP: a bad config changes nothing, a good one starts, stops and keeps.
cat >"$TMP/relay.conf" <<CONF
db = "$DB"
sink keep { null = true }
sink drop { null = true }
CONF
outbox-relay --config "$TMP/relay.conf" 2>"$TMP/conf.err" &
pid=$!
emit 1
last=$(sql 'SELECT max(seq) FROM change_log')
ok "every sink of a config delivers" await 10 all_acked "$last" keep drop
token=$(sql "SELECT lease_token FROM consumer_offsets WHERE consumer = 'keep'")
echo 'sink keep { null = }' >"$TMP/bad.conf"
cp "$TMP/relay.conf" "$TMP/good.conf" && cp "$TMP/bad.conf" "$TMP/relay.conf"
kill -HUP "$pid"
ok "a bad config is said" await 10 grep -q 'settings stay as they are' "$TMP/conf.err"
emit 1
ok "and the old one goes on" await 10 is_acked drop $((last + 1))
# What only the database can tell is bad: nothing of such a config is put to use, its good half neither.
printf 'db = "%s"\nsink keep { null = true }\nsink half { null = true filter = "no_such_column" }\n' "$DB" >"$TMP/relay.conf"
kill -HUP "$pid"
ok "a bad filter is said" await 10 grep -q 'settings stay as they are: .*no_such_column' "$TMP/conf.err"
emit 1
ok "and the sink that its config leaves out goes on" await 10 all_acked $((last + 2)) keep drop
printf 'db = "%s"\nsink keep { null = true }\nsink new { null = true }\n' "$DB" >"$TMP/relay.conf"
kill -HUP "$pid"
ok "a new sink starts" await 10 is_acked new $((last + 2))
emit 1
ok "and delivers" await 10 all_acked $((last + 3)) new keep
is "the one that is gone does not" "$(acked drop)" "$((last + 2))"
is "an unchanged one was not restarted" "$(sql "SELECT lease_token FROM consumer_offsets WHERE consumer = 'keep'")" "$token"
mv "$DB" "$DB.away"
ends "$pid"
is "a database that was moved away ends it with 100" "$code" 100
done_testing
