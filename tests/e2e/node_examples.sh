#!/usr/bin/env bash
# contrib/examples/node: the receiver against the real relay, the consumer beside a writer and over kills.
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/relay.sh"
. "$ROOT/tests/support/extension.sh"
. "$ROOT/tests/support/example.sh"
. "$ROOT/tests/support/node.sh"

if command -v node >/dev/null; then
    seen() { wc -l <"$TMP/seen"; }
    a_receiver seen node "$ROOT/contrib/examples/node/receiver.js" --seen "$TMP/seen"
else
    skip "the receiver verifies and drops repeats" "node is not installed"
fi

reason=$(node_reason)
if [ -z "$reason" ]; then
    export NODE_PATH=$NODE_PACKAGES
    a_consumer 0 node "$ROOT/contrib/examples/node/consumer.js"
else
    skip "the consumer counts everything once" "$reason"
fi
done_testing
