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

done_testing
