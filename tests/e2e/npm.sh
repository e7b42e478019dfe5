#!/usr/bin/env bash
# npm.sh — what is sent, judged by the packages that receivers use: standardwebhooks, svix and cloudevents, in the
# versions of npm/package.json. Skipped where there is no node and npm, or no registry to have them from.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

WHAT='standardwebhooks, svix and cloudevents accept what is sent'
PACKAGES=$BUILD/npm
skip_all() {
    skip "$WHAT" "$1"
    done_testing
    exit 0
}

# Once for each build directory; two tests at once do not meet here, and half an installation is none.
install_packages() {
    cmp -s "$ROOT/tests/e2e/npm/package.json" "$PACKAGES/installed.json" && return
    rm -rf "$PACKAGES" && mkdir -p "$PACKAGES" && cp "$ROOT/tests/e2e/npm/package.json" "$PACKAGES/"
    (cd "$PACKAGES" && timeout -k 5 60 npm install --no-audit --no-fund --ignore-scripts --fetch-retries=1 --fetch-retry-mintimeout=500 --fetch-timeout=20000) >"$TMP/npm.log" 2>&1 </dev/null &&
        cp "$PACKAGES/package.json" "$PACKAGES/installed.json"
}

command -v node >/dev/null && command -v npm >/dev/null || skip_all "node and npm are not installed"
install_packages || skip_all "npm install did not get them: $(grep -m1 -i 'err' "$TMP/npm.log" || echo 'no answer in 60 s')"

NEW=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
OLD=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD
(umask 077 && printf '%s\n%s\n' "$NEW" "${OLD#whsec_}" >"$TMP/secret")
NODE_PATH=$PACKAGES/node_modules node "$ROOT/tests/e2e/npm/judge.js" "$NEW" "$OLD" >"$TMP/verdicts" 2>"$TMP/judge.err" &
await 20 grep -q '^port ' "$TMP/verdicts" || { fail "the judges take their seats" "$(cat "$TMP/judge.err")"; exit 1; }
URL=http://127.0.0.1:$(sed -n 's/^port //p' "$TMP/verdicts")

# Keys, topics, headers and payloads as people have them.
new_database
sql "INSERT INTO outbox_events(topic, key, payload, headers, ordering_key) VALUES
     ('orders', 'o-1', '{\"total\":42.5,\"n\":9007199254740993}', NULL, NULL),
     ('orders', 'Euro € 😀 \"100%\"', '{\"名\":\"Zoë\\u0000\\ud83d\\ude00\"}', '{\"x-note\":\"plain\"}', 'größte Bestellung'),
     ('größe', 'k k', '\"only text, with  U+2028\"', NULL, NULL),
     ('orders', NULL, '[1,2,{\"a\":null}]', NULL, NULL),
     ('orders', 'last', '{\"ok\":true}', '{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}', NULL)"
sql "INSERT INTO change_log(topic, table_name, key, op, revision, payload, created_at)
     VALUES ('orders', 'orders', 'o-1', 'delete', 7, NULL, 1795238460123456);
     INSERT INTO outbox SELECT max(seq) FROM change_log"
COUNT=6

sinks() {
    local name
    echo "db = \"$DB\""
    for name in structured binary native batch; do
        printf 'sink %s {\n  webhook = "%s/%s"\n  secret-file = "%s"\n  concurrency = 1\n' "$name" "$URL" "$name" "$TMP/secret"
        case $name in
        structured) printf '  event-header = "X-Note"\n' ;;
        binary) printf '  format = cloudevents-binary\n  event-header = {"X-Note"}\n' ;;
        native) printf '  format = native\n' ;;
        batch) printf '  batch = 4\n' ;;
        esac
        echo '}'
    done
}
sinks >"$TMP/relay.conf"
relay --config "$TMP/relay.conf" --once
is "everything is sent" "$code $(sql "SELECT group_concat(acked_seq, ' ') FROM consumer_offsets")" "0 $COUNT $COUNT $COUNT $COUNT"

# verdicts JQ: of the requests, each line once with how often it came.
verdicts() { grep '^{' "$TMP/verdicts" | jq -c "$1" | sort | uniq -c | sed 's/^ *//'; }
has_all() { [ "$(verdicts .path | wc -l)" = 4 ] && [ "$(grep -c '^{' "$TMP/verdicts")" -ge $((3 * COUNT + 2)) ]; }
ok "to each of the four" await 10 has_all
requests=$(grep -c '^{' "$TMP/verdicts")
is "standardwebhooks and svix verify it, with the old secret and with the new" "$(verdicts .accepted)" \
    "$requests [\"ok\",\"ok\",\"ok\",\"ok\"]"
is "and refuse every one of which a byte was changed" "$(grep '^{' "$TMP/verdicts" | jq -sc '[(map(.forged > 15) | all), (map(.let_through) | add)]')" '[true,0]'
is "cloudevents parses what is one" "$(verdicts 'select(.path != "/native") | .cloudevents')" "$((requests - COUNT)) \"ok\""

# What they read is what the database says. In binary mode an attribute is percent-encoded, and the package leaves that
# to its caller; no body is an empty text to it.
expected() {
    sql "SELECT json_object('id', (SELECT value FROM outbox_meta WHERE name = 'source') || '-' || seq,
                'type', topic || iif(op = 'emit', '', '.' || op), 'subject', key,
                'partitionkey', coalesce(ordering_key, coalesce(table_name, topic) || '/' || key),
                'sequence', printf('%020d', seq), 'op', op, 'revision', CAST(revision AS TEXT),
                'traceparent', headers ->> '\$.traceparent', 'data', json(payload)) FROM change_log ORDER BY seq"
}
read_as() { # PATH
    grep '^{' "$TMP/verdicts" | jq -c "select(.path == \"/$1\") | .events[]"
}
same='{id, type, subject, partitionkey, sequence, op, revision, traceparent, data}'
expected | jq -cS "$same" | jq -sc 'sort_by(.id)[]' >"$TMP/expected"
for path in structured batch; do
    read_as "$path" | jq -cS "$same" | jq -sc 'sort_by(.id)[]' >"$TMP/$path" # a batch may take a key's events together
    ok "$path: read as the database has it" diff "$TMP/expected" "$TMP/$path"
done
read_as binary | node -e '
    for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
        const event = JSON.parse(line);
        for (const name of ["id", "type", "subject", "partitionkey"])
            if (event[name]) event[name] = decodeURIComponent(event[name]);
        if (event.data === "") event.data = null;
        console.log(JSON.stringify(event));
    }' | jq -cS "$same" | jq -sc 'sort_by(.id)[]' >"$TMP/binary"
ok "binary: read as the database has it" diff "$TMP/expected" "$TMP/binary"
is "an event's own header comes along" "$(verdicts 'select(.note) | [.path, .note]')" '1 ["/binary","plain"]
1 ["/structured","plain"]'
done_testing
