#!/usr/bin/env bash
# relay_once.sh — `outbox-relay --once`: what it delivers, reclaims and exits with.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

new_database
relay --stdout --once
is "nothing to do is done" "$code" 0
is "and says nothing on standard output" "$(cat "$TMP/out")" ""

emit 3
relay --stdout --once
is "what was committed is delivered" "$code $(seqs "$TMP/out")" "0 1 2 3 "
is "--stdout alone registers nothing" "$(sql 'SELECT count(*) FROM consumer_offsets')" 0
relay --stdout --once
is "so it delivers the same again" "$(seqs "$TMP/out")" "1 2 3 "
relay --stdout --consumer shell --once
is "with --consumer it keeps a cursor" "$code $(acked shell)" "0 3"
like "and says how much was waiting" "$(cat "$TMP/err")" "waiting for it: 3"
is "what everybody has acknowledged is reclaimed before it ends" "$(sql 'SELECT count(*) FROM outbox')" 0
emit 1
relay --stdout --consumer shell --once
is "the next run goes on where it was" "$code $(seqs "$TMP/out")" "0 4 "
relay --stdout --from 2 --once
is "history can be looked at again" "$code $(seqs "$TMP/out")" "0 2 3 4 "

emit 2000
relay --stdout --consumer shell --once
is "a backlog of several batches arrives whole" "$code $(wc -l <"$TMP/out")" "0 2000"
is "in order" "$(seqs "$TMP/out")" "$(seq 5 2004 | tr '\n' ' ')"

relay --stdout --consumer filtered --from 1 --filter "seq % 1000 = 0" --once
is "a filter picks, the cursor passes the rest" "$code $(seqs "$TMP/out")$(acked filtered)" "0 1000 2000 2004"
relay --stdout --from 2003 --transform "json_object('twice', 2 * (payload->>'n'))" --once
is "a transform gives the payload" "$code $(grep -c '"payload":{"twice":' "$TMP/out")" "0 2"
sql "INSERT INTO outbox_events(topic, payload) VALUES('odd', '{')"
relay --stdout --from 2004 --transform "json_object('n', payload->>'n')" --once
is "an event on which it fails is shown with its error" "$code $(grep -c '"error":"filter or transform: malformed JSON"' "$TMP/out")" "0 1"

sql "DELETE FROM outbox WHERE seq = 2005"
relay --stdout --consumer shell --once
is "a missing event is 100" "$code" 100
like "named by its seq" "$(cat "$TMP/err")" "2005"
is "and never passed over" "$(acked shell)" 2004

sql "UPDATE consumer_offsets SET acked_seq = 9999 WHERE consumer = 'shell'"
relay --stdout --consumer shell --once
is "a database behind the cursor is 100" "$code" 100
like "with the remedy" "$(cat "$TMP/err")" "new-source"

sql "UPDATE consumer_offsets SET state = 'paused' WHERE consumer = 'shell'"
relay --stdout --consumer shell --once
is "a paused consumer is 111" "$code" 111

# A page of change_log that everybody has passed is no page any more: what is new can be delivered, what is old not deleted.
new_database
emit 1 'damage here'
emit 2000
relay --stdout --consumer shell --once
outboxctl --db "$DB" set history 0s
emit 3
sql 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
at=$(LC_ALL=C grep -abo 'damage here' "$DB" | cut -d: -f1)
printf '!' | dd of="$DB" bs=1 seek=$((at / 4096 * 4096)) conv=notrunc status=none
SECONDS=0
relay --stdout --consumer shell --once
is "a database that can't be reclaimed from is 100, with everything delivered" "$code $(seqs "$TMP/out")$(acked shell)" \
    "100 2002 2003 2004 2004"
is "it says so in one line" "$(grep -c . "$TMP/err")" 1
like "which is why" "$(cat "$TMP/err")" "error cannot reclaim what nobody needs any more: database disk image is malformed"
ok "at once ($SECONDS s)" [ "$SECONDS" -lt 5 ]
start damaged --stdout --consumer shell
await 20 grep -q 'cannot reclaim' "$TMP/damaged.err"
emit 1
ok "a relay that stays delivers what comes" await 20 is_acked shell 2005
kill "$pid" && ends "$pid"
is "and has said it once" "$code $(grep -c reclaim "$TMP/damaged.err")" "0 1"
like "outboxctl status says it too" "$(outboxctl --db "$DB" status 2>&1)" "malformed"

rm -f "$DB"*
relay --stdout --once
is "a missing database is 111" "$code" 111
like "with the command that makes one" "$(cat "$TMP/err")" "outboxctl --db $DB init"
ok "and is not created" test ! -e "$DB"
sqlite3 "$DB" 'CREATE TABLE t(x)'
relay --stdout --once
is "a database without our tables is 100" "$code" 100
new_database
sql 'PRAGMA journal_mode=DELETE' >/dev/null
relay --stdout --once
is "one that is not in WAL mode is 100" "$code" 100
like "with the pragma to type" "$(cat "$TMP/err")" "PRAGMA journal_mode=WAL"
new_database
relay --stdout --filter 'topc = 1' --once
is "a filter that is not SQL is 2" "$code" 2
like "with the place" "$(cat "$TMP/err")" "topc"
done_testing
