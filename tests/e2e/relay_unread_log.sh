#!/usr/bin/env bash
# relay_unread_log.sh — a log that nobody reads, and standard descriptors that are closed: no reason to stop, nor to hang.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

# Whoever reads the log has fallen asleep, and its pipe is full.
new_database
mkfifo "$TMP/log"
exec 7<>"$TMP/log"
fill() { dd if=/dev/zero of="$TMP/log" oflag=nonblock bs=4096 2>/dev/null; }
has_lines() { [ "$(wc -l <"$TMP/events.jsonl" 2>/dev/null)" = "$1" ]; }
fill
outbox-relay --db "$DB" --jsonl "$TMP/events.jsonl" 2>&7 &
pid=$!
emit 3
ok "a log that nobody reads holds up no event" await 10 has_lines 3
kill -HUP "$pid"
timeout 20 cat <"$TMP/log" >"$TMP/read" &
reader=$!
again() { kill -HUP "$pid" && grep -qa "settings read again" "$TMP/read"; }
ok "what is said once it is read again is there" await 10 again
ok "and how much of it was lost" await 10 grep -qaE ' warn [0-9]+ lines of the log before that one are lost' "$TMP/read"
kill "$reader"
wait "$reader" 2>/dev/null
is "in whole lines" "$(tr -d '\0' <"$TMP/read" | grep -cvE '^[0-9T:.Z-]{27} (info|warn) ')" 0
fill
kill -TERM "$pid"
ends "$pid"
is "and does not keep it from stopping" "$code" 0
exec 7<&-

# What is closed would be the next file that is opened.
emit 1
timeout 20 outbox-relay --db "$DB" --stdout --consumer shown --from 1 --once >&- 2>"$TMP/closed.err"
is "without a standard output there is nowhere to deliver to" "$?" 111
like "which is said" "$(cat "$TMP/closed.err")" 'standard output: Bad file descriptor'
is "and nothing is acknowledged" "$(acked shown)" 0
timeout 20 outbox-relay --db "$DB" --stdout --from 1 --once <&- 2>&- >"$TMP/closed.out"
is "without the others it delivers" "$? $(wc -l <"$TMP/closed.out")" "0 4"
timeout 20 outbox-relay --db "$DB" --jsonl "$TMP/events.jsonl" --once <&- >&- 2>&-
is "and without all three into a file" "$? $(jq -s 'length' "$TMP/events.jsonl")" "0 4"
done_testing
