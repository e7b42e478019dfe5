#!/usr/bin/env bash
# webhook_bad_input.sh — what a webhook is given wrong is refused at the start: exit 2, the reason in one line, nothing
# sent, nothing registered, no secret repeated.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

cd "$TMP" || exit 1
umask 077
new_database
emit 1

# refused WHAT WORDS ARGUMENT…
refused() {
    local what=$1 words=$2
    shift 2
    relay --webhook https://h.example/hook --once "$@"
    is "$what: 2, in one line" "$code $(wc -l <err) $(wc -c <out)" "2 1 0"
    like "$what: says so" "$(cat err)" "$words"
    is "$what: no canary" "$(grep -ci canary err)" 0
}

# secret WHAT WORDS TEXT: a secret file of this text, and the same in the environment.
secret() {
    printf '%s\n' "$3" >secret
    refused "$1" "$2" --webhook-secret-file secret
    OUTBOX_WEBHOOK_SECRET=$3 refused "$1, in the environment" "$2"
}

secret "a secret of 23 bytes" "secret 1" "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ="
secret "a secret of 65 bytes" "secret 1" "$(head -c 65 /dev/zero | base64 -w0)"
secret "a secret of another alphabet" "secret 1" "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_"
secret "a secret in hex" "secret 1" "$(printf canary%.0s 1 2 3 4 5 6 | od -An -tx1 | tr -d ' \n')zz"
head -c 32 /dev/urandom | base64 >good
refused "a secret file that isn't there" "none" --webhook-secret-file none
cp good open && chmod 640 open
refused "a secret file that the group can read" "chmod 600" --webhook-secret-file open
ln -s good link
refused "a secret file that is a link" "link" --webhook-secret-file link
: >empty
refused "a secret file with nothing in it" "holds no secret" --webhook-secret-file empty
cat good good good good >four
refused "four secrets" "more than 3" --webhook-secret-file four
if [ "$(id -u)" = 0 ]; then
    cp good others && chown 65534 others
    refused "a secret file of somebody else's" "others" --webhook-secret-file others
else
    skip "a secret file of somebody else's" "only root can make one"
fi

refused "a header with a line break" "header" --webhook-header $'X-A: 1\r\nX-Evil: canary'
refused "a header with a line feed" "header" --webhook-header $'X-A: 1\nX-Evil: canary'
refused "a header without a colon" "header" --webhook-header 'canary'
refused "a header that is the relay's own" "Webhook-Signature" --webhook-header 'Webhook-Signature: v1,canary'
for name in Host Content-Length Transfer-Encoding Connection TE Upgrade Expect Content-Type; do
    refused "a header $name" "$name" --webhook-header "$name: canary"
    refused "an event's header $name" "$name" --event-header "$name"
done
refused "a CA file that isn't there" "none.pem" --ca-file none.pem
refused "a certificate that isn't there" "none.pem" --client-cert none.pem
refused "a filter that isn't SQL" "syntax error" --filter 'topic ='
refused "a filter that would write" "--filter" --filter '(DELETE FROM outbox)'
refused "a transform that isn't SQL" "--transform" --transform 'json_remove('
for option in --webhook-batch --concurrency --max-attempts --rate --read-batch; do
    for value in 0 -1 1.5 99999999999999999999 x ''; do
        refused "$option '$value'" "${option#--}" "$option" "$value"
    done
done
refused "a timeout of nothing" "timeout" --timeout 0s
refused "a timeout without a unit" "timeout" --timeout 30
refused "bounds the wrong way round" "backoff" --backoff 2s,1s
refused "an address that is no block" "allow-address" --public-only --allow-address 10.0.0.1/8
refused "an unknown format" "webhook-format" --webhook-format xml
refused "a batch of a format that has none" "batch" --webhook-format payload --webhook-batch 10

# url WHAT WORDS URL
url() {
    relay --webhook "$3" --once
    is "$1: 2, in one line" "$code $(wc -l <err) $(grep -ci canary err)" "2 1 0"
    like "$1: says so" "$(cat err)" "$2"
}
for scheme in ftp gopher ldap ws unix; do url "a URL with $scheme" "http" "$scheme://h.example/canary"; done
url "a URL without a host" "URL" "https:///canary"
url "a URL with a line break" "webhook" $'https://h.example/canary\r\nX-Evil: 1'
url "a URL with a space" "webhook" "https://h.example/can ary?canary"
url "a URL with one slash" "URL" "https:/h.example/canary"
url "plain http to everybody" "https" "http://h.example/canary"

is "none of it has registered a consumer" "$(sql 'SELECT count(*) FROM consumer_offsets')" 0
done_testing
