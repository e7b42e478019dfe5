#!/usr/bin/env bash
# contrib/python against the extension: its own tests. (Its types are tests/lint's.)
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/extension.sh"

if [ -z "$PYTHON" ]; then
    skip "contrib/python" "$no_python"
    done_testing
    exit
fi
export PYTHONDONTWRITEBYTECODE=1
host "$PYTHON" "$ROOT/tests/support/tap_unittest.py" "$ROOT/contrib/python/tests" >"$TMP/out" 2>&1
rc=$?
grep -v '^1\.\.' "$TMP/out"
# shellcheck disable=SC2034 # tap.sh's
tap_count=$(grep -cE '^(not )?ok ' "$TMP/out")
is "contrib/python's tests ran to their end" "$rc:$(grep -c '^1\.\.' "$TMP/out")" 0:1
done_testing
