#!/usr/bin/env bash
# Commands as a sink. The command is killed at random, and the relay is: nothing is lost, order is kept, and repeated is
# only what was not acknowledged. KILLS=100 for the long run.
. "$(dirname "$0")/../support/tap.sh"
KILLS=${KILLS:-12}
cd "$TMP" || exit 1

sql() { sqlite3 -cmd '.timeout 10000' app.db "$1"; }
emit() { sql "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
    INSERT INTO outbox_events(topic, key, payload) SELECT 't', i, '{}' FROM n"; }
acked() { sql "SELECT acked_seq FROM consumer_offsets WHERE consumer = '${1:-exec}'"; }
is_acked() { [ "$(acked "${2:-exec}")" = "$1" ]; }
committed() { sql "SELECT max(seq) FROM change_log"; }
has() { [ "$(grep -c -- "$2" "$1")" -ge "${3:-1}" ]; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

start_relay() {
    outbox-relay --db app.db "$@" 2>>relay.log &
    relay=$!
}

# Writes each seq to the log, then acknowledges it.
cat >taker.sh <<'EOF'
#!/bin/sh
echo $$ >pid
echo start >>log
while read -r line; do
    seq=${line#*:}
    seq=${seq%%,*}
    echo "$seq" >>log
    echo "$seq"
done
EOF
chmod +x taker.sh

# The log's rules. Within one run each seq follows the one before it. After `relay N`, written when the relay was killed
# with N acknowledged in the database, a run begins at N + 1 or later (the trail has what the database lacks), and not
# behind the next one; after the death of a command alone at the one that it had not acknowledged, or the next.
check_log() {
    awk -v wanted="$1" '
        $1 == "relay" { after = $2; relay = 1; next }
        $1 == "start" { fresh = 1; next }
        fresh && relay && ($1 <= after || $1 > last + 1) { print "after " after " and " last " the run began at " $1; exit bad = 1 }
        fresh && !relay && $1 != last && $1 != last + 1 { print "a run ended at " last ", the next began at " $1; exit bad = 1 }
        !fresh && $1 != last + 1 { print "after " last " came " $1; exit bad = 1 }
        { fresh = relay = 0; last = $1; lines++ }
        END { if (!bad && last != wanted) { print "it ends at " last " of " wanted; exit 1 } exit bad }' log
}

write_events() {
    while [ ! -e stop ]; do
        emit $((RANDOM % 40 + 1))
        [ "$(committed)" -lt 200000 ] || return
    done
}

outboxctl --db app.db init
write_events &
writer=$!

# ---- The relay is killed ----------------------------------------------------------------------------------------------

: >log
echo 'relay 0' >log
for ((i = 0; i < KILLS; i++)); do
    start_relay --exec ./taker.sh
    sleep "0.$(printf '%03d' $((RANDOM % 500)))" # at random: that is the test
    kill -9 "$relay"
    wait "$relay" 2>/dev/null
    echo "relay $(acked)" >>log
done
# shellcheck disable=SC2016 # the command's own
start_relay --exec 'sleep 1000 & echo $! >sleeper; wait'
await 10 test -s sleeper
kill -9 "$relay"
wait "$relay" 2>/dev/null
ok "a command ends with the relay that was killed, and all that it has started" await 5 is_gone "$(cat sleeper)"

# ---- The command is killed --------------------------------------------------------------------------------------------

start_relay --exec ./taker.sh
for ((i = 0; i < KILLS / 4; i++)); do
    runs=$(grep -c start log)
    await 20 has log start $((runs + (i > 0)))
    sleep "0.$(printf '%03d' $((RANDOM % 300)))"
    kill -9 "$(cat pid)" 2>/dev/null
done
touch stop
wait "$writer"
all=$(committed)
ok "everything is acknowledged in the end" await 40 is_acked "$all"
kill -TERM "$relay"
wait "$relay"
is "the relay stops with exit 0" "$?" 0
ok "nothing is lost, order is kept, only what was not acknowledged came again" check_log "$all"
ok "the relay was killed while there was work" test "$(grep -c start log)" -ge $((KILLS / 2))

# ---- The end of the input ---------------------------------------------------------------------------------------------

emit 25
is "--once ends with exit 0 where the command does" "$(outbox-relay --db app.db --exec 'cat >last' --once 2>>relay.log; echo $?)" 0
is "and that acknowledges what was sent" "$(wc -l <last) $(acked)" "25 $((all + 25))"
emit 5
is "another exit is 111" "$(outbox-relay --db app.db --exec 'cat >/dev/null; exit 1' --once 2>>relay.log; echo $?)" 111
is "and acknowledges nothing" "$(acked)" $((all + 25))
is "prev is the line before, as an earlier relay sent it" \
    "$(outbox-relay --db app.db --exec "sed -n '1s/,\"id.*//p' >first" --once --filter "seq % 5 = 0" 2>>relay.log; cat first)" \
    "{\"seq\":$(((all + 30) / 5 * 5)),\"prev\":$((all + 25))"

# ---- Exit 0, and lines that it never read -----------------------------------------------------------------------------

outbox-relay --db app.db --exec 'cat >/dev/null' --once 2>>relay.log
all=$(committed)
emit 3
# shellcheck disable=SC2016 # the command's own
is "one that takes one line and ends with exit 0 makes --once 111" \
    "$(outbox-relay --db app.db --exec 'read -r l; echo "$l" >got; echo '"$((all + 1))" --once 2>>relay.log; echo "$? $(acked)")" \
    "111 $((all + 1))"
is "the others are sent again" \
    "$(outbox-relay --db app.db --exec 'cat >got' --once 2>>relay.log; wc -l <got; acked)" "2
$((all + 3))"

# As a worker that ends in good order when it is told to; the relay is first at its own end then.
sed '2a trap "sleep 0.05; exit 0" TERM' taker.sh >polite.sh
chmod +x polite.sh
all=$(committed)
: >log
for ((i = 0; i < 5; i++)); do
    emit 300
    want=$(($(grep -c '^[0-9]' log) + 40 * i + 1))
    start_relay --exec ./polite.sh
    await 20 has log '^[0-9]' "$want"
    kill -TERM "$relay" "$(cat pid)" 2>/dev/null # one of them may have ended the other
    wait "$relay" 2>/dev/null
done
start_relay --exec ./polite.sh
ok "stopped together, the relay and its command lose nothing" await 20 is_acked "$(committed)"
kill -TERM "$relay"
wait "$relay"
ok "each event was handled" diff <(grep '^[0-9]' log | sort -nu) <(seq $((all + 1)) "$(committed)")
ok "systemd tells the relay alone to stop" grep -qx 'KillMode=mixed' "$ROOT/contrib/systemd/outbox-relay.service"
outbox-relay --db app.db --exec 'cat >/dev/null' --once 2>>relay.log # and reclaims: nothing is owed to those that follow

# ---- Secrets ----------------------------------------------------------------------------------------------------------

# What each process below the relay shows in /proc: the shell, its child, and the guard beside them.
environments() {
    local child grandchild
    for child in $(pgrep -P "$relay"); do
        cat "/proc/$child/environ"
        for grandchild in $(pgrep -P "$child"); do cat "/proc/$grandchild/environ"; done
    done | tr '\0' '\n'
}
has_children() { [ "$(pgrep -cP "$relay")" -ge 2 ] && [ -s ready ]; }

export OUTBOX_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
start_relay --exec 'echo >ready; sleep 1000 & wait' --consumer secrets
unset OUTBOX_WEBHOOK_SECRET
await 20 has_children
is "the secrets in the environment are shown by no child" "$(environments | grep -c MfKQ9r8G)" 0
ok "the rest of it is" test "$(environments | grep -c "^TMP=$TMP\$")" -ge 2
kill -9 "$relay"
wait "$relay" 2>/dev/null

# ---- Commands that are wrong ------------------------------------------------------------------------------------------

start_relay --exec "$TMP/nonesuch" --consumer wrong
await 20 has relay.log 'nonesuch: not found' 3 # by then the relay has noticed two ends
kill -TERM "$relay"
wait "$relay"
is "a command that is not there is said once, and tried again" "$(grep -c 'wrong: the command was not found.*; trying again' relay.log)" 1

before=$(committed)
emit 2000 # more than a pipe takes
cat >relay.conf <<'EOF'
db = "app.db"
sink stuck { exec = "exec sleep 1000" timeout = 500ms }
sink events { jsonl = "events.jsonl" }
EOF
start_relay --config relay.conf
ok "one that never reads holds up nobody else" await 20 is_acked $((before + 2000)) events
is "and acknowledges nothing" "$(acked stuck)" "$before"
ok "which is said" await 10 has relay.log 'stuck: the command has acknowledged none of [0-9]* events'

sed -i 's/exec sleep 1000/cat >changed/' relay.conf
kill -HUP "$relay"
ok "a changed command takes its place at SIGHUP, and is sent what the other did not take" \
    await 20 has changed '"seq"' 1000
kill -TERM "$relay"
wait "$relay"
is "at SIGTERM its exit acknowledges that" "$? $(acked stuck)" "0 $((before + 1000))"

# ---- Options ----------------------------------------------------------------------------------------------------------

like "--timeout is the command's" "$(outbox-relay --exec cat --timeout 3s --check-config)" 'timeout = 3s'
like "or a webhook's, but not both's" \
    "$(outbox-relay --exec cat --webhook http://127.0.0.1:1/ --timeout 3s 2>&1; echo "exit $?")" 'use --config'
done_testing
