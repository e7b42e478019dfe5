# rotation.sh — a state from which one run of the relay does all that it ever does to a stream: it appends to the active
# file, rotates, begins a new one, deletes the oldest segment and writes again. Sourced after common.sh.
#
# Copies of it are made in advance, many at a time: in none may the last rename be less than a second old.
# shellcheck shell=bash

POOL=40
CALLS='openat write pwrite64 fdatasync fsync ftruncate rename,renameat,renameat2 unlink,unlinkat'

# A segment, an active file with some room, and events that wait; as $TMP/before.
prepare_state() {
    mkdir "$TMP/before" "$TMP/before/stream"
    DB=$TMP/before/app.db STREAM=$TMP/before/stream/events.jsonl
    TMP=$TMP/before torture_database
    writer_start a 12 && wait "${writers[@]}"
    outbox-relay --db "$DB" --jsonl "$STREAM" --jsonl-max-size 4K --once 2>/dev/null
    SEED=$((SEED + 1)) writer_start b 12 && wait "${writers[@]}"
    limit=$(($(stat -c %s "$STREAM") + 3000))
    may_be_gone=$(find "$TMP/before/stream" -name 'events.*-*.jsonl' | sed -E 's/.*-0*([0-9]+)\.jsonl/\1/')
    pool=$TMP/pool used=$POOL
}

next_state() { # the next copy, as $here
    local i
    if [ "$used" -ge "$POOL" ]; then
        rm -rf "$pool"
        for ((i = 0; i < POOL; i++)); do mkdir -p "$pool/$i" && cp -a "$TMP/before/." "$pool/$i"; done
        sync -f "$pool"
        used=0
        nap 1100
    fi
    here=$pool/$((used++))
}

# relay COMMAND…: over the state in $here, which keeps $KEEP segments.
KEEP=1
relay() {
    timeout -k 5 30 "$@" outbox-relay --db "$here/app.db" --jsonl "$here/stream/events.jsonl" --jsonl-max-size "$limit" \
        --jsonl-keep "$KEEP" --once 2>"$here/log"
}

# traced FAULT CALLS FILES…: the next state, one run over it with a fault or none; its trace in $TMP/trace.
traced() {
    local fault=$1 calls=$2 files=() file
    shift 2
    next_state
    for file in "$@"; do files+=(-P "$here/$file"); done
    relay strace -f -q "${files[@]}" -e "trace=$calls" ${fault:+-e "inject=$calls:$fault"} -o "$TMP/trace" 2>/dev/null
    code=$?
}

# The calls that one thread makes on these files, at the most: CALLS:k for each.
points_of() {
    local calls most k
    for calls in $CALLS; do
        traced '' "$calls" "$@"
        most=$(awk '$2 ~ /^[a-z0-9]+\(/ { n[$1]++ } END { for (t in n) if (n[t] > most) most = n[t]; print most + 0 }' \
            "$TMP/trace")
        for ((k = 1; k <= most; k++)); do echo "$calls:$k"; done
    done
}

# put_right WHAT: the next start heals, and nothing is missing, twice or made up; else it is said.
put_right() {
    local said
    # A slow machine rotates once more here; with one segment kept, the one that this run began with would be gone too.
    KEEP=2 relay env || { echo "$1: the next start ended with $?: $(cat "$here/log")"; return; }
    said=$(DB=$here/app.db STREAM=$here/stream/events.jsonl judge "$1" --drained --may-be-gone "$may_be_gone")
    case $said in ok*) ;; *) echo "$1: $said" ;; esac
}
