#!/usr/bin/env bash
# webhook_secrets.sh — secrets are rotated under a running relay by SIGHUP, and are seen nowhere.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

OTHER=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD
signatures() { jq -r 'select(.arrival) | .signature' "$LOG" | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'; }
is_said() { [ "$(grep -c "$1" "$TMP/live.err")" -ge "$2" ]; }

new_database
receiver
echo "$OTHER" >"$TMP/secret"
start live --webhook "$URL" --webhook-secret-file "$TMP/secret" --log-level debug
emit 3 a
await 10 has_requests 3
is "signed with the secret that the file had" "$(signatures)" "3 bad"

printf '%s\n%s\n' "$SECRET" "$OTHER" >"$TMP/secret"
kill -HUP "$pid"
ok "SIGHUP reads it again" await 10 is_said "settings read again" 1
emit 3 a
await 10 has_requests 6
is "and what follows is signed with the new one too" "$(signatures)" "3 bad, 3 ok"
is "beside the old one" "$(jq -r 'select(.arrival == 6) | .head' "$LOG" | grep -c '^webhook-signature: v1,.* v1,')" 1

echo "whsec_canary" >"$TMP/secret"
kill -HUP "$pid"
ok "a file that holds no secret is refused" await 10 is_said "the settings stay as they are" 1
emit 3 a
await 10 has_requests 9
is "and the secrets stay as they are" "$(signatures)" "3 bad, 6 ok"

kill -TERM "$pid"
ends "$pid"
is "it ends with all acknowledged" "$code $(acked webhook)" "0 9"
receiver_ends
secrets='MfKQ9r8GKYqr|C2FVsBQIhrs|canary'
is "no secret is in the log" "$(grep -cE "$secrets" "$TMP/live.err")" 0
is "nor in the database" "$(sqlite3 "$DB" .dump | grep -cE "$secrets")" 0

# ---- A canary in everything that is secret: it is heard nowhere else ----

mkdir "$TMP/heard" "$TMP/private"
cd "$TMP/private" || exit 1
umask 077
new_database
receiver --answer 'key=orders/bad 400' --answer 'key=orders/odd 200' --answer '* 500'
echo "whsec_$(printf canarycanarycanarycanary | base64)" >secret
echo "http://canary:canary@127.0.0.1:$PORT/canary/hook?token=canary" >url
echo "http://canary:canary@127.0.0.1:1/canary?token=canary" >nowhere
printf 'Authorization: Bearer canary\nX-Api-Key: canary\n' >header
cat >handle <<END
env >$TMP/heard/environ
p=\$PPID
while [ "\$p" -gt 1 ]; do
    tr '\\0' ' ' </proc/\$p/cmdline
    p=\$(sed -n 's/^PPid:[[:blank:]]*//p' /proc/\$p/status)
done >$TMP/heard/arguments
exec cat
END
chmod +x handle
cat >relay.conf <<END
db = "$DB"
sink hook {
    webhook = "file:url" # signed with what the environment has
    header = "file:header"
    backoff = "10ms,20ms"
    max-attempts = 2
    on-dead = skip
    concurrency = 1
}
sink command {
    exec = "./handle"
}
END
export OUTBOX_WEBHOOK_SECRET
OUTBOX_WEBHOOK_SECRET=$(cat secret)
for level in error warn info debug; do
    for format in text json; do
        for key in odd bad poison worse worst; do emit 1 "$key"; done
        relay --config relay.conf --log-level "$level" --log-format "$format" --once
        cat "$TMP/out" "$TMP/err" >"$TMP/heard/$level-$format"
        relay --webhook file:nowhere --webhook-secret-file secret --consumer "nowhere-$level-$format" \
            --log-level "$level" --log-format "$format" --once
        cat "$TMP/out" "$TMP/err" >>"$TMP/heard/$level-$format"
    done
done
start shown --config relay.conf --log-level debug
await 10 test -s "$TMP/heard/arguments"
ok "a command sees how the relay was called" grep -q 'outbox-relay --db .* relay.conf' "$TMP/heard/arguments"
is_tried_enough() { [ "$(sql "SELECT count(*) FROM failed_deliveries WHERE consumer = 'hook' AND state = 'dead'")" -ge 2 ]; }
ok "events die" await 20 is_tried_enough
kill -TERM "$pid"
ends "$pid"
cp "$TMP/shown.err" "$TMP/heard/"
relay --config relay.conf --check-config
cat "$TMP/out" "$TMP/err" >"$TMP/heard/check-config"
like "--check-config shows the sinks" "$(cat "$TMP/out")" "webhook = "

# complain NAME FILE WORDS: what it says about a FILE that has these words in it.
complain() {
    cp "$2" kept
    printf '%s\n' "$3" >"$2"
    relay --config relay.conf --check-config
    cat "$TMP/out" "$TMP/err" >"$TMP/heard/bad-$1"
    is "bad $1: refused in one line" "$code $(wc -l <"$TMP/err")" "2 1"
    cp kept "$2"
}
complain scheme url "ftp://canary:canary@h.example/canary?canary"
complain host url "https://canary:canary@/canary?canary"
complain header header "canary without a colon"
complain 'own header' header "webhook-id: canary"
OUTBOX_WEBHOOK_SECRET=whsec_canary
relay --config relay.conf --check-config
cat "$TMP/err" >"$TMP/heard/bad-environment"
is "a bad secret in the environment: refused in one line" "$code $(wc -l <"$TMP/err")" "2 1"
unset OUTBOX_WEBHOOK_SECRET
sed -i 's/^    header/    secret-file = "secret"\n&/' relay.conf
complain secret secret "whsec_canary"

for command in status 'status --json' 'consumers list' 'consumers list --json' 'failed list' 'failed list --json' \
    'failed show 2' 'failed show 2 --json' 'failed show 3'; do
    # shellcheck disable=SC2086 # a command with its options
    outboxctl --db "$DB" $command >"$TMP/heard/ctl ${command// /-}" 2>&1
done
sqlite3 "$DB" .dump >"$TMP/heard/database"
cp "$DB".*.lock "$TMP/heard/"
ok "an endpoint was said to be down" grep -q 'is down' "$TMP/heard/debug-text"
ok "much was heard" [ "$(cat "$TMP"/heard/* | wc -c)" -gt 10000 ]
ok "of dead letters too" grep -q '400 Bad Request' "$TMP/heard/ctl failed-show-2"
is "and nowhere the canary" "$(grep -rlE "canary|$(printf canary | base64 | cut -c1-7)" "$TMP/heard")" ""
is "nor a signature" "$(grep -rlE 'v1,[A-Za-z0-9+/]{20}' "$TMP/heard")" ""
ok "which was sent" grep -q 'Authorization: Bearer canary' "$LOG"
ok "under systemd no core of it is written" grep -qx 'LimitCORE=0' "$ROOT/contrib/systemd/outbox-relay.service"
receiver_ends

done_testing
