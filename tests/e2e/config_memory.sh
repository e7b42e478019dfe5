#!/usr/bin/env bash
# Out of memory while the config file is read, at each allocation once, libconfuse's own too: it is said, in one line, and
# never taken for a mistake in the file.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
EVERY=${EVERY:-3} SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}

if ldd "$BUILD/outbox-relay" | grep -qE 'lib(a|t)san'; then
    skip 'a config file is read without memory' 'the sanitizer takes the allocations itself'
    done_testing
    exit
fi
if nm "$BUILD/outbox-relay" 2>/dev/null | grep -q __gcov_; then
    skip 'a config file is read without memory' 'built for coverage, and libgcov crashes without'
    done_testing
    exit
fi
cat >"$TMP/relay.conf" <<CONF
db = "$TMP/shop.db"
sink lines { jsonl = "$TMP/events.jsonl" max-size = 4K }
sink hook { webhook = "http://127.0.0.1:1/hook" header = { "A: 1", "B: 2" } backoff = "1ms,2ms" }
CONF
check() { # ENVIRONMENT…
    timeout 20 env "$@" FAULT_REPORT="$TMP/report" LD_PRELOAD="$BUILD/torture/faults.so" \
        outbox-relay --config "$TMP/relay.conf" --check-config >"$TMP/out" 2>"$TMP/err"
}
ok 'with memory it is fine' check
count=$(sed -E 's/allocations ([0-9]+).*/\1/' "$TMP/report")
ok "reading it allocates ($count times)" [ "$count" -gt 100 ]

strike() { # K[+]: says what is wrong
    check FAULT_ALLOCATION="$1" 2>/dev/null
    local code=$? said
    said=$(cat "$TMP/err")
    case "$code $said" in
    '0 ') ;;
    '2 outbox-relay: '*'out of memory' | '2 outbox-relay: '*'Cannot allocate memory' | '2 outbox-relay: '*'Out of memory') ;;
    '2 out of dynamic memory in yy'* | '134 '*lexer.l:*Assertion* | '134 Unexpected error.') ;; # libconfuse ends the process
    *) echo "$1: exit $code: $said. " ;;
    esac
}
sample() { # PLUS
    local k
    for ((k = 1 + SEED % EVERY; k <= count; k += EVERY)); do strike "$k$1"; done
}
is "one is refused: read all the same, or said (seed $SEED)" "$(sample '')" ''
is 'all are refused from one on: the same' "$(sample +)" ''
done_testing
