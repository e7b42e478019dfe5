#!/usr/bin/env bash
# Three consumers on threads of one program follow a stream that outbox-relay writes and rotates. Both are killed at
# random. What each consumer has counted, in the transaction of its acknowledgement, is what was committed: no event
# was skipped and none was counted twice.
# KILLS=100 for the long run.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
KILLS=${KILLS:-12}
app=$TMP/app.db
state=$TMP/state.db
stream=$TMP/events.jsonl
fanout=$BUILD/examples/fanout/fanout

sql() { sqlite3 -cmd '.timeout 10000' "$@"; }

# Writes until told to stop.
write_events() {
    local i=0 pad
    pad=$(printf '%0200d' 0)
    while [ ! -e "$TMP/stop" ]; do
        i=$((i + 1))
        printf "INSERT INTO outbox_events(topic, key, payload) VALUES ('t%d', '$i.%d', '{\"pad\":\"$pad\"}');\n" \
            $((i % 5)) 1 $((i % 3)) 2 $((i % 7)) 3 | sql "$app" >>"$TMP/writer.log" 2>&1
    done
}

# shellcheck disable=SC2119,SC2120 # its options are few, and only through ok
follow() { exec "$fanout" --state "$state" "$@" "$stream" red green blue 2>>"$TMP/fanout.log"; }

deliver() { exec outbox-relay --db "$app" --jsonl "$stream" --jsonl-max-size 32K "$@" 2>>"$TMP/relay.log"; }

counts_of() { sql "$state" "SELECT topic, events FROM counts WHERE consumer = '$1' ORDER BY topic"; }

ok 'the database is made' outboxctl --db "$app" init
write_events &
writer=$!
deliver &
relay=$!
has_rotations() { [ "$(find "$TMP" -name 'events.*-*.jsonl' | wc -l)" -ge 3 ]; }
# On a busy machine the writer is slow: then there are more kills, until there have been rotations.
for ((kill = 0; kill < 10 * KILLS; kill++)); do
    [ "$kill" -lt "$KILLS" ] || ! has_rotations || break
    follow &
    reader=$!
    sleep "0.$(printf '%03d' $((RANDOM % 800)))" # at random: that is the test
    kill -9 "$reader"
    wait "$reader" 2>/dev/null
    if [ $((kill % 4)) = 3 ]; then
        kill -9 "$relay"
        wait "$relay" 2>/dev/null
        deliver &
        relay=$!
    fi
done
touch "$TMP/stop"
wait "$writer"
kill "$relay"
wait "$relay"
ok 'the relay drains' deliver --once
ok 'the consumers read what is left' follow --once

wanted=$(sql "$app" 'SELECT topic, count(*) FROM change_log GROUP BY topic ORDER BY topic')
for consumer in red green blue; do
    is "$consumer has counted each event once" "$(counts_of $consumer)" "$wanted"
done
is 'nobody was told of a gap' "$(cat "$TMP/fanout.log")" ''
ok 'there were rotations' has_rotations
is 'all cursors are at the end' "$(sql "$state" 'SELECT count(*), min(acked_seq) FROM consumer_offsets')" \
    "3|$(sql "$app" 'SELECT max(seq) FROM change_log')"

# A listener prints what comes while it listens.
"$fanout" --state "$state" --listen "$stream" red >"$TMP/heard" 2>>"$TMP/fanout.log" &
listener=$!
heard() {
    outboxctl --db "$app" emit late k null && (deliver --once) && grep -q 'emit late k' "$TMP/heard"
}
ok 'a listener hears what comes from now on' await 20 heard
kill -TERM "$listener"
wait "$listener"
is 'and ends when it is asked to' $? 0
done_testing
