# tap.sh — what every end-to-end script shares: TAP, a directory of its own, waiting on a condition.
#
#     . "$(dirname "$0")/../support/tap.sh"
#     ok "what holds" test -s file            # runs the command; its output goes to the diagnostics
#     is "what is equal" "$got" "$wanted"
#     done_testing
# shellcheck shell=bash

set -u
BUILD=${BUILD:-build}
BUILD=$(realpath "$BUILD")
ROOT=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
TMP=$(mktemp -d "${TMPDIR:-/tmp}/outbox-e2e-XXXXXX")
export TMP BUILD ROOT PATH="$BUILD:$PATH"
unset OUTBOX_DB OUTBOX_WEBHOOK_SECRET
tap_count=0

# A child that gets a signal before it has become what it is to be runs the trap of its parent, which is still at work.
tap_cleanup() {
    [ "$BASHPID" = "$$" ] || return
    local pids
    pids=$(jobs -p)
    # shellcheck disable=SC2086 # a list of words
    [ -z "$pids" ] || { kill -KILL $pids; wait $pids; } 2>/dev/null
    rm -rf "$TMP"
}
trap tap_cleanup EXIT

pass() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1"; }
fail() { tap_count=$((tap_count + 1)); echo "not ok $tap_count - $1"; [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'; }
skip() { tap_count=$((tap_count + 1)); echo "ok $tap_count - $1 # SKIP $2"; }

ok() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then pass "$what"; else fail "$what" "$* -> $?: $said"; fi
}

is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:    $2
wanted: $3"; fi; }

like() { case $2 in *"$3"*) pass "$1" ;; *) fail "$1" "got:       $2
wanted in: $3" ;; esac; }

done_testing() { echo "1..$tap_count"; }

# await SECONDS COMMAND…: until it succeeds; false where it hasn't by then.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        read -rt 0.02 <> <(:) || :
    done
}
