# example.sh — what the examples of Python and of Node are put through; sourced after tap.sh, relay.sh and extension.sh.
# shellcheck shell=bash

OLD=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD NEW=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
(umask 077 && printf '%s\n%s\n' "$NEW" "$OLD" >"$TMP/both" && echo "$OLD" >"$TMP/old" && echo whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA >"$TMP/wrong")

# begin COMMAND…: the receiver, in the background; $URL and $receiver.
begin() {
    "$@" --secret-file "$TMP/both" --port "${PORT:-0}" >>"$TMP/received" 2>"$TMP/receiver.err" &
    receiver=$!
    await 10 grep -q '^listening on ' "$TMP/received" || { fail "the receiver starts" "$(cat "$TMP/receiver.err")"; exit 1; }
    PORT=$(sed -nE 's/^listening on .*:([0-9]+)$/\1/p' "$TMP/received" | tail -1)
    URL=http://127.0.0.1:$PORT/
    await 10 curl -s -o "$TMP/nothing" "$URL" || fail "the receiver answers"
}

# A sender that looks for the answer only when all of its body is gone; prints the status.
send_all_then_read='
import socket, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
with socket.create_connection((url.hostname, url.port)) as peer:
    peer.settimeout(20)
    peer.sendall(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 20000000\r\n\r\n")
    for _ in range(200):
        peer.sendall(bytes(100000))
    print(peer.recv(100).split()[1].decode())'

# Numbers that are none, and too long a one, before anything is verified; prints the first digit of each answer's status.
send_odd_numbers='
import socket, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
lengths = ["content-length: \xb2", "content-length: " + "1" * 5000, "content-length: -1"]
stamps = ["9" * 5000, "\xb2", "-1"]
stamped = ["content-length: 2\r\nwebhook-id: a\r\nwebhook-signature: v1,AAAA\r\nwebhook-timestamp: " + stamp for stamp in stamps]
for headers in lengths + stamped:
    with socket.create_connection((url.hostname, url.port)) as peer:
        peer.settimeout(20)
        peer.sendall(f"POST / HTTP/1.1\r\nhost: here\r\n{headers}\r\n\r\n{{}}".encode("latin-1"))
        peer.shutdown(socket.SHUT_WR)
        print((peer.recv(100).split() + [b"", b"nothing"])[1].decode()[0], end=" ")'

# post SECRET AGE BODY [HEADER…]: a request signed by hand; prints the answer's status.
post() {
    local id=msg_1 at key signature
    at=$(($(date +%s) - $2))
    key=$(base64 -d <<<"${1#whsec_}" | od -An -tx1 | tr -d ' \n')
    signature=$(printf '%s.%s.%s' "$id" "$at" "$3" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
    curl -s -o "$TMP/answer" -w '%{http_code}' -H "webhook-id: $id" -H "webhook-timestamp: $at" \
        -H "webhook-signature: v1,AAAA v1,$signature" "${@:4}" --data-binary "${TAMPERED:-$3}" "$URL"
}

# a_receiver COUNT_COMMAND COMMAND…: COUNT_COMMAND prints how many events it has dealt with.
a_receiver() {
    local count=$1
    shift
    : >"$TMP/received"
    new_database
    emit 20 a
    emit 20 b
    begin "$@"
    relay --webhook "$URL" --webhook-secret-file "$TMP/old" --once
    is "the relay's events arrive and verify" "$code $($count)" "0 40"
    ok "they are sent again" outboxctl --db "$DB" replay --consumer webhook --from 1 --to 10 --yes
    relay --webhook "$URL" --webhook-secret-file "$TMP/both" --once
    is "and are no new ones" "$code $($count)" "0 40"
    kill -KILL "$receiver"
    wait "$receiver" 2>/dev/null
    begin "$@"
    outboxctl --db "$DB" replay --consumer webhook --from 1 --to 40 --yes >"$TMP/replay" 2>&1
    relay --webhook "$URL" --webhook-secret-file "$TMP/old" --once
    is "nor after it was killed" "$code $($count)" "0 40"
    emit 20 c
    relay --webhook "$URL" --webhook-secret-file "$TMP/old" --webhook-batch 8 --once
    is "a batch is its events" "$code $($count)" "0 60"
    outboxctl --db "$DB" replay --consumer webhook --from 41 --to 60 --yes >"$TMP/replay" 2>&1
    relay --webhook "$URL" --webhook-secret-file "$TMP/old" --once
    is "each known again by its own id" "$code $($count)" "0 60"

    is "a signature by hand verifies" "$(post "$OLD" 0 '{"n":1}')" 200
    is "another secret's does not" "$(post whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 0 '{"n":1}')" 401
    is "nor an old one" "$(post "$OLD" 900 '{"n":1}')" 401
    is "nor one from the future" "$(post "$OLD" -900 '{"n":1}')" 401
    is "nor one of another body" "$(TAMPERED='{"n":2}' post "$OLD" 0 '{"n":1}')" 401
    is "nor none at all" "$(curl -s -o "$TMP/answer" -w '%{http_code}' -d '{}' "$URL")" 401
    is "what is no batch is refused" "$(post "$OLD" 0 '{"n":1}' -H 'content-type: application/cloudevents-batch+json')" 400
    is "too big a body is refused, however late the answer is read" "$(python3 -c "$send_all_then_read" "$URL")" 413
    is "a number that is none has its answer as well" "$(python3 -c "$send_odd_numbers" "$URL")" "4 4 4 4 4 4 "
    is "only what verified was dealt with" "$($count)" 61
    kill -TERM "$receiver"
    wait "$receiver"
    is "SIGTERM ends it" "$?" 0
}

# a_consumer IDLE COMMAND…: with writers at work and five times kill -9 in between; IDLE is its --until-idle.
a_consumer() {
    local idle=$1 i
    shift
    new_database
    sql 'CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, revision INTEGER NOT NULL DEFAULT 1)'
    host "$@" --until-idle 0 "$DB" # its table is there before the writer is at work
    {
        echo ".load $BUILD/mod_outbox"
        for i in $(seq 120); do
            echo "SELECT outbox_upsert('orders', json_object('id', $((i % 50)), 'customer', 'c$((i % 3))', 'total', $i));"
            [ $((i % 10)) -ne 0 ] || echo "SELECT outbox_delete('orders', $((i % 50)));"
        done
    } >"$TMP/write.sql"
    host sqlite3 -bail -cmd '.timeout 5000' "$DB" <"$TMP/write.sql" >"$TMP/written" 2>&1 &
    writer=$!
    done_at_least() { [ "$(acked sums)" -ge "$1" ]; }
    for i in 10 30 50 70 90; do
        env ${HOST_PRELOAD:+LD_PRELOAD=$HOST_PRELOAD} "$@" "$DB" >"$TMP/consumer.out" 2>&1 & # itself, no subshell
        consumer=$!
        await 20 done_at_least "$i" || fail "it gets to event $i" "$(cat "$TMP/consumer.out")"
        kill -KILL "$consumer"
        wait "$consumer" 2>/dev/null
    done
    wait "$writer"
    host "$@" --until-idle "$idle" "$DB" >"$TMP/consumer.out" 2>&1
    is "it ends when nothing came" "$?:$(cat "$TMP/consumer.out")" "0:"
    is "it has seen everything" "$(acked sums)" "$(sql 'SELECT max(seq) FROM change_log')"
    is "and counted everything once, over five kills" \
        "$(sql 'SELECT group_concat(customer || total) FROM (SELECT * FROM sums WHERE total <> 0 ORDER BY 1)')" \
        "$(sql 'SELECT group_concat(customer || total) FROM (SELECT customer, sum(total) AS total FROM orders GROUP BY 1 ORDER BY 1)')"
}
