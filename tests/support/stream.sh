# stream.sh — a database and a JSONL stream under test, for end-to-end scripts; sourced after tap.sh.
#
# The database is $TMP/app.db, written with the sqlite3 shell; the stream is $TMP/events.jsonl, read with awk: nothing
# of the project's own code judges it.
# shellcheck shell=bash

stream_database() {
    { echo 'PRAGMA journal_mode=WAL;'; cat "$ROOT"/schema/*.sql; } | sqlite3 "$TMP/app.db" >/dev/null
}

stream_sql() { sqlite3 -cmd '.timeout 10000' "$TMP/app.db" "$1"; }

# stream_emit COUNT: so many events in one transaction.
stream_emit() {
    stream_sql "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
                INSERT INTO outbox_events(topic, key, payload)
                SELECT 't', 'k' || i, json_object('n', i, 'pad', hex(zeroblob(50))) FROM n"
}

# The stream's files, in the order of their lines.
stream_files() { find "$TMP" -maxdepth 1 -name 'events.*[0-9].jsonl' | sort; ls "$TMP/events.jsonl"; }

# "FIRST LAST COUNT" of the lines on standard input, each of which must follow the one before it.
stream_chain_of() {
    awk '
        !/^\{"seq":[0-9]+,"prev":[0-9]+,"id":"[0-9a-f]+-[0-9]+",.*\}$/ {
            print "not a line: " substr($0, 1, 60)
            bad = 1
            exit
        }
        {
            split(substr($0, 8), part, /[,:]/)
            if (NR == 1) first = part[1]
            else if (part[3] != last) {
                print "after " last " comes " part[1] " with prev " part[3]
                bad = 1
                exit
            }
            last = part[1]
        }
        END { if (!bad) print first, last, NR }'
}

stream_chain() { stream_files | xargs cat | stream_chain_of; }

stream_wanted() { stream_sql "SELECT min(seq) || ' ' || max(seq) || ' ' || count(*) FROM change_log"; }

stream_is_complete() { [ "$(stream_chain)" = "$(stream_wanted)" ]; }

stream_names_are_true() {
    local file first last
    for file in "$TMP"/events.*[0-9].jsonl; do
        read -r first last _ < <(stream_chain_of <"$file")
        [ "${file##*/}" = "$(printf 'events.%020d-%020d.jsonl' "$first" "$last")" ] || {
            echo "${file##*/} holds $first $last"
            return 1
        }
    done
}
