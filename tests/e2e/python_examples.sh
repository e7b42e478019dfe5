#!/usr/bin/env bash
# contrib/examples/python: the receiver against the real relay, the consumer beside a writer and over kills.
. "$(dirname "$0")/../support/tap.sh"
. "$ROOT/tests/support/relay.sh"
. "$ROOT/tests/support/extension.sh"
. "$ROOT/tests/support/example.sh"
export PYTHONDONTWRITEBYTECODE=1

inbox() { sqlite3 "$TMP/inbox.db" 'SELECT count(*) FROM inbox'; }
a_receiver inbox python3 "$ROOT/contrib/examples/python/receiver.py" --db "$TMP/inbox.db"

if [ -n "$PYTHON" ]; then
    a_consumer 0 "$PYTHON" "$ROOT/contrib/examples/python/consumer.py"
else
    skip "the consumer counts everything once" "$no_python"
fi
done_testing
