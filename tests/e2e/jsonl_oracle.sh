#!/usr/bin/env bash
# The oracle of tests/torture judges everything there; here it is judged: each thing that it is there to notice is done
# to a good stream, and must break the rule meant for it.
SEED=1
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/torture/common.sh
. "$ROOT/tests/torture/common.sh"

torture_database
writer_start a 30
wait "${writers[@]}"
LIMIT=4K
ok "the relay drains" relay_once
judge 'a good stream is good' --drained
segment=$(find "$TMP" -name 'events.*-*.jsonl')
cp -a "$TMP" "$TMP.good"
trap 'rm -rf "$TMP.good"; tap_cleanup' EXIT

# broken RULES WHAT COMMAND…: done to a copy, it breaks these rules, and no others.
broken() {
    local rules=$1 what=$2 said
    shift 2
    "$@" || { fail "$what" "$* ended with $?"; return; }
    said=$("$ROOT/tests/torture/oracle" --db "$DB" --stream "$STREAM" --ledger "$LEDGERS/a" --drained \
        --reader "$TMP/handed" 2>&1)
    is "$what breaks $rules" "$(printf '%s\n' "$said" | awk '
        $2 == "BROKEN" { printf "%s%s", sep, $1; sep = " " }
        /^O/ { rules++ }
        END { if (rules != 6) print " and the oracle itself" }')" "$rules"
    rm -rf "${TMP:?}"/* && cp -a "$TMP.good/." "$TMP"
}

seq 1 "$(stream_sql 'SELECT max(seq) FROM change_log')" >"$TMP.good/handed"
cp "$TMP.good/handed" "$TMP/handed"
edit() { sed -i "$@"; }

broken '' 'nothing' true
broken 'O1 O3 O5 O7' 'a line that is missing' edit 5d "$STREAM"
broken 'O3 O7' 'a line twice' edit '5p' "$STREAM"
broken 'O1 O4 O5 O7' 'a missing line break' truncate -s -1 "$STREAM"
broken 'O1 O3 O4 O5 O7' 'half a line in the middle' edit '5s/.\{40\}$//' "$STREAM"
broken 'O1 O3 O4 O5 O7' 'a zero byte' edit '5s/pad/\x00/' "$STREAM"
broken 'O1 O3 O4 O5 O7' 'half a character' edit '5s/pad/\xe2\x82/' "$STREAM"
broken 'O3' 'a prev that is wrong' edit '5s/"prev":[0-9]*/"prev":3/' "$STREAM"
broken 'O4' 'a segment under a false name' mv "$segment" "${segment%1-*}2-${segment##*-}"
broken 'O5' 'another payload' edit '5s/x"/y"/' "$STREAM"
broken 'O1 O2' 'an event that nobody asked for' edit '5s/"headers":{"token":"a/&b/' "$STREAM"
broken 'O2' 'what was rolled back' edit '5s/^OK \([^ ]*\) .*/VOID \1/;0,/^OK /s/^OK \([^ ]*\) .*/VOID \1/' "$LEDGERS/a"
broken 'O5' 'a row without its log' stream_sql 'UPDATE things SET revision = revision + 1 WHERE id = "k1"'
broken 'O5' 'an event still owed' stream_sql 'INSERT INTO outbox VALUES (1)'
broken 'O5' 'a cursor behind' stream_sql 'UPDATE consumer_offsets SET acked_seq = acked_seq - 1'
broken 'O7' 'a reader that skipped a line' edit 5d "$TMP/handed"
broken 'O7' 'a reader handed what it had acknowledged' edit '9s/$/\nACK 9\n9/' "$TMP/handed"
done_testing
