#!/usr/bin/env bash
# relay_descriptors.sh — a relay with fewer descriptors than its sinks could use: it asks for more, shares what it gets,
# or says how many it takes; no sink starves the others of theirs.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

new_database
receiver --answer '* delay=5 200'
for i in 1 2 3; do printf 'sink s%d {\n  webhook = "%s"\n  concurrency = 40\n}\n' "$i" "$URL"; done >"$TMP/relay.conf"
emit 100
sql "UPDATE change_log SET key = 'k' || seq"

# limited ARGUMENT… -- ARGUMENT…: the relay under ulimit with the first ones.
limited() {
    local limits=()
    while [ "$1" != -- ]; do limits+=("$1"); shift; done
    (ulimit "${limits[@]}" && exec timeout -k 5 60 outbox-relay --db "$DB" --config "$TMP/relay.conf" --once 2>"$TMP/err")
    code=$?
}

limited -n 60 --
is "too few for one connection each: refused in one line" "$code $(wc -l <"$TMP/err")" "100 1"
like "that says how many it takes" "$(cat "$TMP/err")" "3 sinks need 72 descriptors or more, and 60 are allowed: raise \`ulimit -n\`"
is "and nothing is registered" "$(sql "SELECT count(*) FROM consumer_offsets")" 0

limited -n 90 --
is "too few for all that the sinks could use: everything is delivered" "$code $(requests)" "0 300"
like "and a line says what it does about it" "$(cat "$TMP/err")" "no webhook has more than 7 requests under way"
is "no connection failed for want of one" "$(grep -c 'outcome=' "$TMP/err")" 0

for i in 1 2 3; do outboxctl --db "$DB" consumers seek "s$i" 1 --yes >/dev/null 2>&1; done
limited -Sn 90 --
is "where the hard limit allows more it takes more, and has nothing to say" "$code $(requests) $(wc -c <"$TMP/err")" "0 600 0"
receiver_ends
# The last line counts the most that were under way at once, over all three: before, 7 each.
ok "then more are under way" [ "$(jq 'select(.most) | .most' "$LOG")" -gt 21 ]
done_testing
