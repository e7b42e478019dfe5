#!/usr/bin/env bash
# relay_from.sh — where a consumer begins: what --from says to a new one, and to one that has begun long ago.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

lines() { seqs "$TMP/$1.jsonl"; }

new_database
emit 5
relay --jsonl "$TMP/all.jsonl" --consumer all --once
is 'without it: from the oldest event owed' "$code $(lines all)" '0 1 2 3 4 5 '
relay --jsonl "$TMP/now.jsonl" --consumer now --from now --once
is 'from now: nothing of what was there' "$code $(lines now)$(acked now)" '0 5'
relay --jsonl "$TMP/four.jsonl" --consumer four --from 4 --once
is 'from a seq: that one first' "$code $(lines four)" '0 4 5 '
ok 'and it says how many wait' grep -q 'new consumer; events waiting for it: 2' "$TMP/err"

emit 1
relay --jsonl "$TMP/four.jsonl" --consumer four --from 1 --once
is 'one that exists goes on where it is' "$code $(lines four)" '0 4 5 6 '
ok 'and says how it is moved' grep -q 'warn four: --from is for new consumers, this one goes on after 5;.*outboxctl consumers seek' "$TMP/err"
relay --jsonl "$TMP/four.jsonl" --consumer four --from start --once
ok 'of from start there is nothing to say' [ "$(grep -c seek "$TMP/err")" = 0 ]

# Unregistered, it is the same question to the log.
relay --stdout --from 5 --once
is 'unregistered: from a seq' "$code $(seqs "$TMP/out")" '0 5 6 '
relay --stdout --from 8 --once
is 'a seq that nobody can have yet: 100, in one line' "$code $(wc -l <"$TMP/err")" '100 1'
ok 'which says what the last one is' grep -q 'from 8 is not there yet: the last event is 6' "$TMP/err"
sql 'DELETE FROM outbox WHERE seq < 4; DELETE FROM change_log WHERE seq < 4'
relay --stdout --from 2 --once
is 'a seq that the log no longer has: 100, in one line' "$code $(wc -l <"$TMP/err")" '100 1'
ok 'which says what the first one is' grep -q 'from 2: change_log no longer has it; the first one after it is 4' "$TMP/err"
relay --jsonl "$TMP/two.jsonl" --consumer two --from 2 --once
is 'registered: 100 as well, and nothing is registered' "$code $(sql "SELECT count(*) FROM consumer_offsets WHERE consumer = 'two'")" '100 0'

for bad in 0 -1 1.5 9223372036854775808 tomorrow ''; do
    relay --stdout --from "$bad" --once
    is "from '$bad' is nowhere: 2" "$code" 2
done
done_testing
