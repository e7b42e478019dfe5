#!/usr/bin/env bash
# outboxctl_tail.sh — a stream read from the shell: lines, cursor, --exec, the end of whoever reads, rotation, a gap;
# and the snapshot that mends one.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/ctl.sh
. "$ROOT/tests/support/ctl.sh"

stream=$TMP/events.jsonl
printed() { seqs "$TMP/printed"; }

new_database
emit 5
relay --jsonl "$stream" --once

# ---- Lines and cursor ----

ctl tail "$stream" --consumer shell
is "tail prints the lines as they are" "$code $(cmp "$TMP/printed" "$stream" 2>&1)" "0 "
is "and acknowledges them" "$(acked shell)" 5
ctl tail "$stream" --consumer shell
is "once" "$code $(printed)" "0 "
emit 2
relay --jsonl "$stream" --once
ctl tail "$stream" --consumer shell
is "then what is new" "$(printed)" "6 7 "
sql "INSERT INTO outbox_events(topic, key, payload, headers, ordering_key)
     VALUES ('t', 'ключ', '{\"s\":\"a\\u2028b\",\"n\":[1.50,1e400]}', '{\"a\":\"b\"}', 'o'), ('t', NULL, x'00ff', NULL, NULL),
            ('t', 'k', 'not JSON', NULL, NULL)"
relay --jsonl "$stream" --once
ctl tail "$stream" --consumer shell
is "whatever an event holds, its line is the stream's" "$(cmp "$TMP/printed" <(tail -3 "$stream") 2>&1)" ""

ctl tail "$stream" --consumer late --from now
is "--from now begins behind the last line" "$code $(printed)$(acked late)" "0 10"
ctl tail "$stream" --consumer third --from 9
is "--from SEQ with that one" "$code $(printed)" "0 9 10 "
ctl tail "$stream" --consumer third --from 2
is "once a consumer is there it goes on where it was" "$code $(printed)" "0 "
like "and says so" "$(cat "$TMP/said")" "consumers seek third"
ctl tail "$stream" --consumer fourth --from 12
is "a seq that is not there yet is bad input" "$code $(acked fourth)" "2 "
ctl tail "$stream" --from 3
is "without a consumer there is no cursor" "$code" 2
ctl tail "$stream" --consumer third --from yesterday
is "nor any time to begin at" "$code" 2
ctl consumers seek third 10 --yes
ctl tail "$stream" --consumer third
is "seek moves it" "$(printed)" "10 "

# ---- Whoever reads ends ----

ctl consumers seek shell start --yes
exec 7> >(:)
wait $! # from here on the pipe has no reader
outboxctl --db "$DB" tail "$stream" --consumer shell >&7 2>"$TMP/said"
is "nothing is acknowledged that nobody has taken" "$? $(acked shell)" "0 0"
exec 7>&-
ctl tail "$stream" --consumer shell
is "and all of it comes again" "$(printed)" "1 2 3 4 5 6 7 8 9 10 "

# ---- --exec ----

ctl consumers seek shell 3 --yes
ctl tail "$stream" --consumer shell --exec "cat >>'$TMP/taken'; echo batch >>'$TMP/batches'"
is "--exec gives the lines to a command" "$code $(seqs "$TMP/taken") $(wc -l <"$TMP/batches")" "0 3 4 5 6 7 8 9 10  1"
is "whose exit 0 acknowledges them" "$(acked shell)" 10
ctl consumers seek shell 3 --yes
ctl tail "$stream" --consumer shell --exec 'cat >/dev/null; exit 3'
is "any other does not" "$code $(acked shell)" "111 2"
like "and is told" "$(cat "$TMP/said")" "ended with 3"
ctl tail "$stream" --consumer shell --exec 'kill -9 $$'
is "nor does a death" "$code $(acked shell)" "111 2"

# ---- --follow ----

outboxctl --db "$DB" tail "$stream" --consumer shell --follow >"$TMP/followed" 2>"$TMP/said" &
follower=$!
start live --jsonl "$stream" --jsonl-max-size 4K
followed_to() { [ "$(seqs "$TMP/followed" | wc -w)" = "$1" ]; }
ok "--follow prints what is there" await 10 followed_to 8
segments() { find "$TMP" -name 'events.*-*.jsonl' | wc -l; }
last=10 deadline=$((SECONDS + 20))
until [ "$(segments)" -ge 3 ] || [ "$SECONDS" -ge "$deadline" ]; do
    emit 30
    last=$((last + 30))
    await 10 followed_to $((last - 2)) || break
done
is "and what comes, through rotation, in order, none twice" "$(seqs "$TMP/followed")" "$(seq 3 "$last" | tr '\n' ' ')"
ok "there was rotation" test "$(segments)" -ge 3
ctl tail "$stream" --consumer shell
is "the consumer is held meanwhile" "$code" 111
kill -TERM "$follower"
ends "$follower"
is "SIGTERM ends it, with all acknowledged" "$code $(acked shell)" "0 $last"
kill -TERM "$pid"
ends "$pid"

# ---- A database of the reader's own ----

sqlite3 "$TMP/own.db" 'CREATE TABLE mine(x)'
outboxctl --db "$TMP/own.db" tail "$stream" --consumer shell >"$TMP/printed"
is "the cursor may be in a database of the reader's own" \
    "$(printed | wc -w) $(sqlite3 "$TMP/own.db" 'SELECT consumer, acked_seq FROM consumer_offsets')" "$last shell|$last"
outboxctl --db "$TMP/nowhere.db" tail "$stream" --consumer shell >"$TMP/printed" 2>&1
is "but it has to be there" "$? $([ -e "$TMP/nowhere.db" ] && echo made)" "111 "

# ---- A gap, and the snapshot ----

ctl consumers seek shell 3 --yes
rm "$(find "$TMP" -name 'events.*-*.jsonl' | sort | head -1)"
ctl tail "$stream" --consumer shell
is "what is missing is told before anything later" "$code $(printed)" "1 "
like "with the way out" "$(cat "$TMP/said")" "consumers seek shell start"
ctl consumers seek shell start --yes
ctl tail "$stream" --consumer shell
is "which goes on with what is still there" "$code $(tail -1 "$TMP/printed" | jq .seq)" "0 $last"

# ---- The ways out, of a database of the reader's own ----

own() { DB="$TMP/own.db" ctl "$@"; }
advised() { grep -o 'outboxctl --db [^ ]* consumers seek [^ ;]*' "$TMP/said"; }
own tail "$stream" --consumer shell --from 3
is "--from of an old consumer is told with the command that moves it" "$code $(advised)" \
    "0 outboxctl --db $TMP/own.db consumers seek shell"
way_out=$(advised)
own consumers seek shell start --dry-run
is "a dry run of it changes nothing" "$code $(sqlite3 "$TMP/own.db" 'SELECT acked_seq FROM consumer_offsets')" "0 $last"
eval "$way_out start --yes" 2>"$TMP/said"
rm "$(find "$TMP" -name 'events.*-*.jsonl' | sort | head -1)"
own tail "$stream" --consumer shell
is "so is a gap" "$code $(printed)$(advised)" "1 outboxctl --db $TMP/own.db consumers seek shell"
is "whose snapshot is another database's" "$(grep -c 'snapshot of the database that writes' "$TMP/said")" 1
eval "$way_out start --yes" 2>"$TMP/said"
own tail "$stream" --consumer shell
is "and the command works as it stands" "$code $(tail -1 "$TMP/printed" | jq .seq)" "0 $last"
own consumers list --json
is "the list has it" "$code $(jq -c '[.consumer, .kind, .reads, .acked_seq, .held]' "$TMP/printed")" \
    "0 [\"shell\",\"reader\",\"$stream\",$last,false]"
own consumers
is "for people as well" "$code $(grep -cE "shell +reader +$last" "$TMP/printed")" "0 1"
own status
is "status is of the relay's database" "$code" 100
is "and does not want ours made here" "$(grep -c ' init' "$TMP/said")" 0
own failed retry --all --yes
is "nor are there deliveries" "$code" 100
is "to be made" "$(grep -c ' init' "$TMP/said")" 0
own consumers pause shell
is "a reader isn't paused" "$code" 100
own consumers seek nobody start --yes
is "one that is not there is a no" "$code $(cat "$TMP/said")" "1 outboxctl: there is no consumer nobody; there are: shell"
(exec 9>"$TMP/own.db.shell.lock" && flock 9 && own consumers remove shell --yes && exit "$code")
is "one that is held is not removed" "$?" 111
own consumers remove shell --yes
is "one that is not, is" "$code $(sqlite3 "$TMP/own.db" 'SELECT count(*) FROM consumer_offsets')" "0 0"
own consumers list
is "then there is none" "$code $(cat "$TMP/printed")" "0 "
is "and nothing else has come into the database" \
    "$(sqlite3 "$TMP/own.db" 'PRAGMA journal_mode; SELECT name FROM sqlite_schema WHERE sql IS NOT NULL')" \
    "delete"$'\n'"mine"$'\n'"consumer_offsets"
sqlite3 "$TMP/strange.db" 'CREATE TABLE consumer_offsets(x)'
DB=$TMP/strange.db ctl consumers list
is "a table of that name that isn't ours is left alone" "$code" 100

sql "CREATE TABLE shop(id INTEGER PRIMARY KEY, name TEXT, revision INTEGER NOT NULL DEFAULT 1);
     CREATE TABLE stock(a TEXT, b TEXT, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(a, b)) WITHOUT ROWID;
     CREATE TABLE other(x);
     INSERT INTO shop VALUES (2, 'two', 7), (1, 'one', 1); INSERT INTO stock VALUES ('a', 'b', 2)"
emit 1
ctl snapshot
is "snapshot prints every row of every table with a revision" \
    "$code $(jq -c '[.op, .table, .key, .revision]' "$TMP/printed" | tr '\n' ' ')" \
    '0 ["row","shop","1",1] ["row","shop","2",7] ["row","stock","[\"a\",\"b\"]",2] '
is "with the seq that it is as of" "$(jq .seq "$TMP/printed" | sort -u)" $((last + 1))
is "with the row as its events have it" "$(head -1 "$TMP/printed" | jq -c .payload)" '{"id":1,"name":"one","revision":1}'
sql "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO shop SELECT i, hex(zeroblob(40)), 1 FROM n"
mkfifo "$TMP/pipe"
outboxctl --db "$DB" snapshot shop >"$TMP/pipe" &
exec 7<"$TMP/pipe"
read -r _ <&7 # it has begun, and can't end while the pipe is full
emit 1
is "what is committed meanwhile is no part of it" "$(jq -r .op <&7 | sort | uniq -c | xargs)" "4999 row"
exec 7<&-
ctl snapshot stock
is "or of the tables named" "$code $(jq -r .table "$TMP/printed")" "0 stock"
ctl snapshot other
is "which must have a key and a revision" "$code $(cat "$TMP/printed")" "2 "

done_testing
