# peer.sh — what the peers' scripts share; sourced. A peer is another program that does what ours does: it is run where it
# is installed, with a data directory of its own on the disk that the others are measured on, and stopped again.
# shellcheck shell=bash
set -eu

# peer_needs NAME PROGRAM…: says so and ends where one is not installed.
peer_needs() {
    local name=$1
    shift
    for program; do
        command -v "$program" >/dev/null && continue
        printf '%-52s not installed, nothing measured\n' "$name"
        exit 0
    done
}

# peer_row WHAT RATE [UNIT]
peer_row() {
    printf '%-52s %14s %12.0f%s\n' "$1" '' "$2" "${3:-/s}"
}

# A directory of its own, gone at the end, when `stop` (if the script has one) has run.
peer_directory() {
    PEER_DIR=$(mktemp -d /var/tmp/outbox-bench-XXXXXX)
    trap 'type -t stop >/dev/null && stop >>"$PEER_DIR/log" 2>&1; rm -rf "$PEER_DIR"' EXIT
}

# Seconds that a command takes.
peer_seconds() {
    local from
    from=$(date +%s%N)
    "$@"
    awk -v from="$from" -v to="$(date +%s%N)" 'BEGIN { print (to - from) / 1e9 }'
}
