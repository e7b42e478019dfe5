#!/usr/bin/env bash
# webhook_memory.sh — answers of 100 MB, headers and chunks without end, and receivers that never answer take a relay no
# more memory than 256 KiB a request, and stay out of the database.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

[ -z "${SANITIZE:-}" ] || { skip 'memory while answers have no end' 'a sanitizer has a memory of its own'; done_testing; exit; }
WINDOW=16
# peak ACTION ARGUMENT…: KiB at the most, while every request is answered so; in $peak.
peak() {
    local action=$1
    shift
    new_database
    emit 64
    sql "UPDATE change_log SET key = 'k' || seq"
    receiver --answer "* $action"
    start relay --webhook "$URL" --concurrency "$WINDOW" --backoff 10ms,20ms "$@"
    await 20 has_requests "$WINDOW"
    peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")
    kill -TERM "$pid"
    kill -TERM "$pid"
    ends "$pid"
    receiver_ends
}

peak 200
plain=$peak
for action in huge chunks headers garbage cut; do
    peak "$action"
    ok "$action: $(((peak - plain) / WINDOW)) KiB a request" [ "$peak" -le $((plain + 256 * WINDOW)) ]
done
for action in stall trickle; do
    peak "$action" --timeout 100ms
    ok "$action: $(((peak - plain) / WINDOW)) KiB a request" [ "$peak" -le $((plain + 256 * WINDOW)) ]
done
is "nothing of an answer is kept that nobody asked for" \
    "$(sqlite3 "$DB" .dump | grep -c 'xxxxxxxx')" 0
done_testing
