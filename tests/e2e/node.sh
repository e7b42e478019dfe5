#!/usr/bin/env bash
# contrib/node against the extension, in better-sqlite3's own SQLite. better-sqlite3 is a native module: where no binary
# can be had it is compiled, for a minute or more, so only `make test-node` installs it; here it is used if it is there.
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/extension.sh"
. "$ROOT/tests/support/node.sh"

reason=$(node_reason)
if [ -n "$reason" ]; then
    skip "contrib/node" "$reason"
    done_testing
    exit
fi
NODE_PATH=$NODE_PACKAGES node --test-reporter=tap "$ROOT/contrib/node/test/outbox.test.js" >"$TMP/out" 2>&1
rc=$?
grep -E '^(not )?ok ' "$TMP/out"
grep -qE '^not ok' "$TMP/out" && grep -vE '^(ok|1\.\.)' "$TMP/out" | sed 's/^/# /'
# shellcheck disable=SC2034 # tap.sh's
tap_count=$(grep -cE '^(not )?ok ' "$TMP/out")
is "contrib/node's tests ran to their end" "$rc:$(grep -c '^1\.\.' "$TMP/out")" 0:1
done_testing
