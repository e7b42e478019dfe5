#!/usr/bin/env bash
# webhook_http2.sh — where the receiver has HTTP/2, the requests of many keys share one connection; what a connection or
# a stream that ends does to them is what a failure does.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/certificates.sh
. "$ROOT/tests/support/certificates.sh"

WHAT='requests share a connection'
command -v node >/dev/null || { skip "$WHAT" "node is not installed"; done_testing; exit 0; }
curl --version | grep -qw HTTP2 || { skip "$WHAT" "this libcurl has no HTTP/2"; done_testing; exit 0; }

cd "$TMP" || exit 1
umask 077
certificate own localhost

# receive ARGUMENT…: 200 events of 40 keys to a receiver of its own; what it counted in $seen.
receive() {
    rm -f counted # else the port of the one before could be read
    node "$ROOT/tests/support/http2_receiver.js" own.pem own.key "$@" >counted 2>receiver.err &
    local receiver=$!
    await 10 grep -q '^port ' counted || { fail 'the receiver starts' "$(cat receiver.err)"; exit 1; }
    new_database
    emit 200
    sql "UPDATE change_log SET key = 'k' || (seq % 40)"
    start relay --webhook "https://localhost:$(sed -n 's/^port //p' counted)/hook" --ca-file own.pem --concurrency 16 \
        --webhook-format cloudevents-binary --backoff 10ms,50ms
    ok "$what: all are delivered" await 20 all_delivered
    kill -TERM "$pid"
    ends "$pid"
    is "$what: the relay ends well" "$code" 0
    kill -TERM "$receiver"
    wait "$receiver"
    seen=$(tail -n 1 counted)
}

all_delivered() { is_acked webhook 200 && [ "$(sql 'SELECT count(*) FROM failed_deliveries')" = 0 ]; }
counted() { jq -c "$1" <<<"$seen"; }

what='one connection'
receive 20
is "200 requests share one connection" "$(counted '[.sessions, .requests, .ids, .http1]')" "[1,200,200,0]"
is "up to the limit of --concurrency" "$(counted .most)" 16
is "never two of a key, none before an earlier one" "$(counted '[.overlaps, .overtaken]')" "[0,0]"

what='connections that end'
receive 2 30
is "a receiver that wants a new connection after every 30 requests gets each event once" "$(counted '[.requests, .ids]')" "[200,200]"
ok "over several connections" [ "$(counted .sessions)" -gt 5 ]
is "in order" "$(counted '[.overlaps, .overtaken]')" "[0,0]"

what='streams that are refused'
receive 2 0 9
is "what was refused unread comes again, and what was not doesn't" "$(counted '[.requests, .ids]')" "[200,200]"
ok "some were" [ "$(counted .refused)" -gt 10 ]
is "in their order" "$(counted '[.overlaps, .overtaken]')" "[0,0]"
done_testing
