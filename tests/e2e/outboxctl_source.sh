#!/usr/bin/env bash
# outboxctl_source.sh — new-source after a restored backup: the stream, the webhook and their readers go on.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

stream=$TMP/events.jsonl
source_now() { sql "SELECT value FROM outbox_meta WHERE name = 'source'"; }
former() { sql "SELECT value FROM outbox_meta WHERE name = 'former_sources'"; }

new_database
emit 5
relay --jsonl "$stream" --once
sql "VACUUM INTO '$TMP/backup.db'"
emit 3
relay --jsonl "$stream" --once
is "the stream is ahead of the backup" "$code $(seqs "$stream")" "0 1 2 3 4 5 6 7 8 "
old=$(source_now)

# The backup takes the database's place, and writes events whose numbers the stream has already.
rm -f "$DB" "$DB"-wal "$DB"-shm
mv "$TMP/backup.db" "$DB"
sql 'PRAGMA journal_mode=WAL' >/dev/null
emit 1
relay --jsonl "$stream" --once
is "the relay refuses" "$code" 100
like "and names the command" "$(cat "$TMP/err")" "new-source --seq-after"

ctl new-source
is "nothing is done without --yes" "$code $(source_now)" "2 $old"
ctl new-source --seq-after 8 --dry-run
is "nor by a dry run" "$code $(source_now) $(former)" "0 $old "
ctl new-source --seq-after 8 --yes --json
is "a new source begins behind the stream's end" "$code $(jq -c '[.last_seq, .next_seq]' "$TMP/printed")" "0 [6,9]"
is "the former one is kept" "$(former)" "[{\"source\":\"$old\",\"last_seq\":6,\"next_seq\":9}]"
new=$(source_now)
ok "it is another one" test "$new" != "$old"
is "which is told" "$(jq -r .source "$TMP/printed")" "$new"
emit 2
relay --jsonl "$stream" --once
is "the stream goes on over the hole" "$code $(seqs "$stream")" "0 1 2 3 4 5 6 7 8 9 10 "
is "unbroken, in the new source's name" "$(jq -c 'select(.seq == 9) | [.prev, .id]' "$stream")" "[8,\"$new-9\"]"

# While a relay runs.
start live --jsonl "$stream"
emit 1
ok "a relay runs" await 10 is_acked jsonl 11
ctl new-source --yes --json
is "without --seq-after a million numbers are left out" "$code $(jq -c '[.last_seq, .next_seq]' "$TMP/printed")" "0 [11,1000012]"
emit 2
ok "it goes on under a relay that runs" await 10 is_acked jsonl 1000013
is "with the new ids, each event once" "$(seqs "$stream" | wc -w) $(tail -1 "$stream" | jq -r .id)" "13 $(source_now)-1000013"
is "both former sources are kept, oldest first" "$(former | jq -c '[.[] | .last_seq, .next_seq]')" "[6,9,11,1000012]"
kill -TERM "$pid"
ends "$pid"
is "the relay is well" "$code" 0
is "it is on record" "$(sql "SELECT group_concat(action || ' ' || seq, ', ') FROM outbox_audit")" "new-source 9, new-source 1000012"

ctl new-source --seq-after 3 --yes --json
is "a sequence is never lowered" "$(jq .next_seq "$TMP/printed")" 1000014
ctl new-source --seq-after 9223372036854775807 --yes
is "nor used up" "$code" 2

ctl status --json
is "status counts what there is, not the numbers that were left out" "$(jq .change_log_rows "$TMP/printed")" \
    "$(sql 'SELECT count(*) FROM change_log')"

new_database
emit 1
ctl new-source --seq-after 40 --yes
relay --jsonl "$TMP/before.jsonl" --from 1 --once
is "before the new source has an event all is delivered" "$code $(seqs "$TMP/before.jsonl")" "0 1 "
is "and nothing is wrong" "$(grep -c warn "$TMP/err")" 0
emit 1
relay --jsonl "$TMP/before.jsonl" --once
is "and after that its own" "$code $(seqs "$TMP/before.jsonl")" "0 1 41 "

new_database
ctl new-source --seq-after 40 --yes
emit 1
relay --jsonl "$TMP/fresh.jsonl" --once
is "a database that never wrote begins where it is told" "$code $(jq -c '[.seq, .prev]' "$TMP/fresh.jsonl")" "0 [41,40]"

done_testing
