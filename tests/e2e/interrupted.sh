#!/usr/bin/env bash
# interrupted.sh — every second read or write of a file is interrupted by a signal, or does half of what it was asked: an
# application's, the relay's of its database, its stream, its trail, its secrets. Nobody notices. R07.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/torture/common.sh
. "$ROOT/tests/torture/common.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

if ldd "$BUILD/outbox-relay" | grep -qE 'lib(a|t)san'; then
    skip 'interrupted reads and writes' "the sanitizer's library must come first"
    done_testing
    exit
fi

config() {
    printf 'db = "%s"\nsink lines { jsonl = "%s" max-size = 16K }\n' "$DB" "$STREAM"
    printf 'sink hook { webhook = "%s" secret-file = "%s" }\n' "$URL" "$TMP/secret"
}
met() { sed -nE 's/.*struck ([0-9]+)$/\1/p' "$TMP/report" | awk '{ n += $1 } END { print n + 0 }'; }

for how in eintr short; do
    rm -rf "$DB"* "$TMP"/events* "${LEDGERS:?}"/* "$TMP/report"
    faulty=(env FAULT_CALL=0 FAULT_HOW="$how" FAULT_PATH="$TMP" FAULT_REPORT="$TMP/report" LD_PRELOAD="$BUILD/torture/faults.so")
    application=("${faulty[@]}" FAULT_PATH="$DB") # and not its own ledger
    receiver --answer '* 200'
    torture_database
    config >"$TMP/relay.conf"
    ok "$how: an application writes" "${application[@]}" "$BUILD/torture/writer" "$DB" "$LEDGERS/a" a 20
    "${faulty[@]}" outbox-relay --config "$TMP/relay.conf" --once 2>"$TMP/err"
    is "$how: the relay delivers" "$? $(grep -c ' warn \| error ' "$TMP/err")" '0 0'
    "${application[@]}" "$BUILD/torture/writer" "$DB" "$LEDGERS/b" b 20 >"$TMP/out"
    "${faulty[@]}" outbox-relay --config "$TMP/relay.conf" 2>"$TMP/err" &
    relay=$!
    all_are_acked() { [ "$(stream_sql "SELECT count(*) FROM consumer_offsets
                                       WHERE acked_seq = (SELECT max(seq) FROM change_log)")" = 2 ]; }
    ok "$how: and the next one goes on from there" await 20 all_are_acked
    kill -KILL "$relay"
    wait "$relay" 2>/dev/null
    "${application[@]}" "$BUILD/torture/writer" "$DB" "$LEDGERS/c" c 3 >"$TMP/out"
    "${faulty[@]}" outbox-relay --config "$TMP/relay.conf" --once 2>"$TMP/err"
    is "$how: as does one after a kill" "$? $(grep -c ' warn \| error ' "$TMP/err")" '0 0'
    judge "$how: every line once" --drained
    is "$how: every event came, and once" "$(jq -r 'select(.arrival) | .id' "$LOG" | sort | uniq -c | awk '{ print $1 }' | uniq -c |
        awk '{ print $1, $2 }')" "$(stream_sql 'SELECT count(*) FROM change_log') 1"
    ok "$how: calls were met ($(met))" [ "$(met)" -gt 100 ]
    receiver_ends
done
done_testing
