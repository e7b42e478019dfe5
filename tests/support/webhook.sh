# webhook.sh — what end-to-end tests of the webhook sink share: the scripted receiver in the background, and what its log
# says. Sourced after tap.sh and relay.sh.
# shellcheck shell=bash

SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
LOG=$TMP/requests.jsonl
(umask 077 && echo "$SECRET" >"$TMP/secret")

# receiver ARGUMENT…: starts it with an empty log; $receiver is its process, $URL its address.
receiver() {
    rm -f "$TMP/receiver.out" # else the port of the one before could be read
    : >"$LOG"
    "$BUILD/tests/support/receiver" --secret "$SECRET" --log "$LOG" "$@" >"$TMP/receiver.out" 2>"$TMP/receiver.err" &
    receiver=$!
    await 10 grep -q '^port ' "$TMP/receiver.out" || { fail "the receiver starts" "$(cat "$TMP/receiver.err")"; exit 1; }
    PORT=$(sed -n 's/^port //p' "$TMP/receiver.out")
    export URL=http://127.0.0.1:$PORT/hook
}

# Ends it. Its last line, with the counts, is then in the log.
receiver_ends() {
    kill -TERM "$receiver"
    wait "$receiver"
}

requests() { grep -c '"arrival"' "$LOG"; }
has_requests() { [ "$(requests)" -ge "$1" ]; }

# The seqs in order of their first arrival.
arrived() {
    jq -r 'select(.arrival) | .id | split("-")[1]' "$LOG" | awk '!seen[$0]++' | tr '\n' ' '
}

# Each key's events in seq order at their first arrival, and never two of one key at once: says what is not.
disorder() {
    jq -r 'select(.arrival) | [.key, (.id | split("-")[1]), .overlaps] | @tsv' "$LOG" |
        awk -F'\t' '$3 { print "two of " $1 " at once" }
                    $1 != "" && !(($1, $2) in seen) { if ($2 + 0 < last[$1] + 0) print $2 " after " last[$1] " of " $1
                                                      last[$1] = $2; seen[$1, $2] = 1 }'
}
