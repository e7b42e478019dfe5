#!/usr/bin/env bash
# The relay is killed at random while three writers write and `tail -F` reads: the files hold every committed event
# once, in whole lines, with an unbroken chain of prev and names that tell the truth; and so does what tail has read.
# KILLS=200 for the long run.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$(dirname "$0")/../support/stream.sh"
KILLS=${KILLS:-20}

# Writes until told to stop: transactions of one to nine events, one in four rolled back.
write_events() {
    local i=0 j
    while [ ! -e "$TMP/stop" ]; do
        i=$((i + 1))
        {
            echo 'BEGIN IMMEDIATE;'
            for ((j = 0; j <= (i + $1) % 9; j++)); do
                echo "INSERT INTO outbox_events(topic, key, payload)" \
                    "VALUES ('t$1', '$i.$j', json_object('pad', hex(zeroblob($((RANDOM % 200))))));"
            done
            if [ $((i % 4)) = 0 ]; then echo 'ROLLBACK;'; else echo 'COMMIT;'; fi
        } | sqlite3 -cmd '.timeout 10000' "$TMP/app.db" >>"$TMP/writer.log" 2>&1
    done
}

tail_has_read_all() { [ "$(cksum <"$TMP/tail.out")" = "$(stream_files | xargs cat | cksum)" ]; }

stream_database
: >"$TMP/events.jsonl"
tail -n +1 -F "$TMP/events.jsonl" >"$TMP/tail.out" 2>/dev/null &
writers=()
for w in 1 2 3; do
    write_events "$w" &
    writers+=($!)
done

for ((kill = 0; kill < KILLS; kill++)); do
    outbox-relay --db "$TMP/app.db" --jsonl "$TMP/events.jsonl" --jsonl-max-size 64K 2>>"$TMP/relay.log" &
    relay=$!
    sleep "0.$(printf '%03d' $((RANDOM % 500)))" # at random: that is the test
    kill -9 "$relay"
    wait "$relay" 2>/dev/null
done
touch "$TMP/stop"
wait "${writers[@]}"

ok "after $KILLS kills the relay drains" \
    outbox-relay --db "$TMP/app.db" --jsonl "$TMP/events.jsonl" --jsonl-max-size 64K --once
is 'every committed event is in the files once, and the chain is unbroken' "$(stream_chain)" "$(stream_wanted)"
ok 'there are several segments' [ "$(stream_files | wc -l)" -gt 3 ]
ok 'their names tell what is in them' stream_names_are_true
ok 'tail -F has read the same bytes, each once' await 20 tail_has_read_all
is 'nothing is owed any more' "$(stream_sql 'SELECT count(*) FROM outbox')" 0
done_testing
