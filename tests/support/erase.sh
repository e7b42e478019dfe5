# erase.sh — a captured table, a stream of several files, and what is written in them of one person; for the tests of
# outboxctl erase. Sourced after tap.sh, relay.sh and ctl.sh.
# shellcheck shell=bash

dir=$TMP/stream stream=$TMP/stream/events.jsonl
said() { cat "$TMP/said"; }
# The files in which it is written (in base64 too): of the database, its log and index, and of the stream.
places() { grep -lrE 'CANARY|Q0FOQVJZ' "$DB"* "$dir" | sed 's|.*/||; s/[0-9]\{10,\}/N/g' | sort -u | paste -sd' '; }
others() { sql "SELECT * FROM change_log WHERE key IS NOT 'eve' ORDER BY seq"; }
other_lines() { cat "$dir"/*.jsonl | grep -v '"key":"eve"'; }
sizes() { find "$dir" -name '*.jsonl' -printf '%f %s\n' | sort; }
ages() { find "$dir" -name 'events.*-*.jsonl' -printf '%f %T@\n' | sort; }
verified() { outboxctl --db "$DB" verify && outboxctl --db "$DB" verify "$stream"; }
# What a rotation would do in its time: the active file becomes a segment.
seal() {
    local seqs
    mapfile -t seqs < <(sed -n '1p; $p' "$stream" | jq '.seq // (.sequence | tonumber)')
    mv "$stream" "$dir/events.$(printf '%020d-%020d' "${seqs[0]}" "${seqs[1]}").jsonl"
}
person() { # NAME TEXT: a row of a captured table, and a message
    sql "INSERT OR REPLACE INTO people(id, note) VALUES ('$1', '$2');
         INSERT INTO outbox_events(topic, key, payload, headers)
         VALUES ('people', '$1', json_object('mail', '$2'), json_object('x', '$2')), ('people', '$1', CAST('$2' AS BLOB), NULL)"
}

# Two people in two segments and the active file.
new_stream() { # RELAY OPTION…
    rm -rf "$dir" && mkdir "$dir"
    new_database
    sql "CREATE TABLE people(id TEXT PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)"
    outboxctl --db "$DB" capture people 2>/dev/null
    person adam 'not her'
    person eve 'CANARY, "ünïcödé" and more'
    relay --jsonl "$stream" --once "$@"
    seal
    person eve "CANARY again"
    sql "UPDATE people SET note = 'CANARY changed' WHERE id = 'eve'"
    person adam 'nor this'
    relay --jsonl "$stream" --once "$@"
    seal
    person eve "CANARY $(printf 'x%.0s' {1..9000})"
    sql "DELETE FROM people WHERE id = 'eve'"
    person adam 'nor that'
    relay --jsonl "$stream" --once "$@"
}
