#!/usr/bin/env bash
# simulation — the relay's core over some hundred drawn schedules of writes, kills, power cuts and bad receivers, and
# over those that once failed. `make simulate` has the ten thousand.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"

count=500
[ -z "${SANITIZE:-}${RUN_UNDER:-}" ] || count=100
kept=()

simulate() { "$BUILD/simulation" "$1" "$2" 2>"$TMP/err" | tee "$TMP/out" | tail -n 1; }

is "$count schedules hold" "$(simulate "$count" 1)" "$count schedules from seed 1: 0 failed"
grep "^seed" "$TMP/out" | sed 's/^/# /'
for seed in "${kept[@]}"; do
    is "seed $seed, which failed once" "$(simulate 1 "$seed")" "1 schedules from seed $seed: 0 failed"
done
is 'the same seed is the same run' "$("$BUILD/simulation" 1 7 2>&1 | sha256sum)" "$("$BUILD/simulation" 1 7 2>&1 | sha256sum)"
done_testing
