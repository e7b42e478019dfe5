#!/usr/bin/env bash
# outboxctl history: every revision of a row, for people and for programs.
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/ctl.sh"

DB=$TMP/shop.db
ctl init
sqlite3 "$DB" 'CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, note TEXT, revision INTEGER NOT NULL DEFAULT 1)'
ctl upsert orders '{"id":"o-1","total":42.5}'
ctl upsert orders '{"id":"o-2","total":1}'
ctl upsert orders '{"id":"o-1","note":"gift \u001b[31m"}'
ctl delete orders o-1
ctl upsert orders '{"id":"o-1","total":7.5}'

ctl history orders o-1
is "a line for each revision, with what it changed" "$(sed -E 's/20[0-9T:.-]+Z/TIME/; s/ +/ /g; s/^ //' "$TMP/printed")" \
    'SEQ REVISION OP TIME CHANGE
1 1 insert TIME id "o-1", total 42.5, note null
3 2 update TIME note null -> "gift \u001b[31m"
4 3 delete TIME id "o-1", total 42.5, note "gift \u001b[31m"
5 4 insert TIME id "o-1", total 7.5, note null'
is "and exit code 0" "$code" 0

ctl history orders o-1 --json
is "--json has the whole images" "$(jq -c '[.seq, .revision, .op, .topic, .before.total, .after.total]' "$TMP/printed")" \
    '[1,1,"insert","orders",null,42.5]
[3,2,"update","orders",42.5,42.5]
[4,3,"delete","orders",42.5,null]
[5,4,"insert","orders",null,7.5]'
is "and the time" "$(jq -r .time "$TMP/printed" | grep -cE '^20[0-9-]+T[0-9:]+\.[0-9]{6}Z$')" 4

ctl history orders none
is "a row without history is exit 1" "$code:$(cat "$TMP/printed")" "1:"
like "and says why" "$(cat "$TMP/said")" "table orders, key none: nothing in change_log"

sqlite3 "$DB" 'DROP TABLE orders'
ctl history orders o-1 --json
is "what happened stays when the table is gone" "$(wc -l <"$TMP/printed")" 4

# Anybody can write into the log: what isn't JSON is shown as text, on one line.
sqlite3 "$DB" "UPDATE change_log SET payload = 'not' || char(10) || 'json' WHERE seq = 5"
ctl history orders o-1 --json
is "an image that isn't JSON is a string" "$(sed -n 4p "$TMP/printed" | jq -r .after)" 'not\njson'

ctl history orders
is "a missing key is a usage error" "$code" 2
done_testing
