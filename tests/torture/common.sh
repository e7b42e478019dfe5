# common.sh — what the experiments share; sourced after tests/support/{tap,stream}.sh.
#
# An experiment draws its chances from SEED, so that SEED=n repeats them (not what the scheduler does with them), takes
# its length from COUNT, prints TAP and figures as `# …`, and is judged by the oracle.
# shellcheck shell=bash

SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
export SEED
RANDOM=$((SEED % 32768))
DB=$TMP/app.db
STREAM=$TMP/events.jsonl
LEDGERS=${LEDGERS:-$TMP/ledgers} # on another file system where one is taken away
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # the leak checker works in no traced process
mkdir -p "$LEDGERS"
writers=()

figures() { echo "# $*"; }

torture_database() {
    stream_database
    stream_sql 'CREATE TABLE things(id TEXT PRIMARY KEY, token TEXT, pad TEXT, revision INTEGER NOT NULL DEFAULT 1)'
}

# writer_start NAME [TRANSACTIONS [PAUSE_US]]
writer_start() {
    "$BUILD/torture/writer" "$DB" "$LEDGERS/$1" "$@" >"$TMP/writer-$1.out" 2>&1 &
    writers+=($!)
}

writers_stop() {
    kill -TERM "${writers[@]}" 2>/dev/null
    wait "${writers[@]}"
    writers=()
    figures "$(cat "$TMP"/writer-*.out | paste -sd'|' | sed 's/|/ | /g')"
}

# relay_once [ARGUMENT…]: drains, with segments of $LIMIT; its words in once.log.
LIMIT=64K
relay_once() { outbox-relay --db "$DB" --jsonl "$STREAM" --jsonl-max-size "$LIMIT" --once "$@" 2>"$TMP/once.log"; }

# judge WHAT [ARGUMENT…]: the oracle's verdict.
judge() {
    local what=$1 said ledger arguments=()
    shift
    for ledger in "$LEDGERS"/*; do [ ! -e "$ledger" ] || arguments+=(--ledger "$ledger"); done
    if said=$("$ROOT/tests/torture/oracle" --db "$DB" --stream "$STREAM" "${arguments[@]}" "$@" 2>&1); then
        pass "$what"
        printf '%s\n' "$said" | sed 's/^/# /'
    else
        fail "$what" "$said"
    fi
}

# chain_on_disk DIRECTORY: "UNBROKEN LAST" of the stream there as the disk has it now, past the page cache: the last seq
# before the first line that is missing, and the very last one.
chain_on_disk() {
    python3 - "$1"/events.*-*.jsonl "$1/events.jsonl" <<'END'
import json, os, sys
unbroken, last, whole = 0, 0, True
for path in sys.argv[1:]:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        continue
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    for line in os.fdopen(fd, "rb"):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a torn end; or a hole, which the next line shows
        whole = whole and event["prev"] == last
        last = event["seq"]
        unbroken = last if whole else unbroken
print(unbroken, last)
END
}

# nap MILLISECONDS: a moment drawn at random is the experiment here, not a guess.
nap() { read -rt "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" <> <(:) || :; }
