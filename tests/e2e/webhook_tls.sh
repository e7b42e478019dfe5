#!/usr/bin/env bash
# webhook_tls.sh — outbox-relay to receivers with good and bad TLS: openssl's own server, whose answers this script
# writes when it has seen the request.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/certificates.sh
. "$ROOT/tests/support/certificates.sh"

cd "$TMP" || exit 1
umask 077

# serve ARGUMENT…: a server whose input is on descriptor 3, its port in $URL, what it got in "got". The port is free or $port.
serve() {
    rm -f answers got
    mkfifo answers
    exec 3<>answers
    openssl s_server -accept "127.0.0.1:${port:-0}" "$@" <&3 >got 2>server.err &
    server=$!
    await 10 grep -q '^ACCEPT' got || { fail "the server starts" "$(cat server.err)"; exit 1; }
    URL=https://localhost:$(sed -n 's/^ACCEPT.*://p' got)/hook
}

serve_ends() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null
    exec 3>&-
}

# one_event ARGUMENT…: to $URL; $heard says whether the request came, $code how the relay ended.
one_event() {
    new_database
    emit 1
    start relay --webhook "$URL" --max-attempts 1 --timeout 10s --once "$@"
    await 20 eval "grep -q '^POST /hook' got || ! kill -0 $pid"
    ! grep -q '^POST /hook' got || printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' >&3
    ends "$pid"
    heard=no
    ! grep -q '^POST /hook' got || heard=yes
}

why() { sql "SELECT last_error FROM failed_deliveries WHERE state = 'dead'"; }

certificate own localhost
certificate elsewhere elsewhere.example
certificate client client.example
certificate other other.example
expired_certificate expired localhost

serve -cert own.pem -key own.key
one_event
is "a self-signed receiver hears nothing" "$heard" no
like "and the dead letter says why" "$(why)" "SSL certificate problem: self-signed certificate"
serve_ends
serve -cert own.pem -key own.key
one_event --ca-file own.pem
is "with its certificate as --ca-file it gets the event" "$heard" yes
is "which is then acknowledged" "$code $(acked webhook)" "0 1"
serve_ends
serve -cert own.pem -key own.key
one_event --ca-file other.pem
is "another's certificate as --ca-file vouches for nobody else" "$heard" no
serve_ends
serve -cert elsewhere.pem -key elsewhere.key
one_event --ca-file elsewhere.pem
is "a certificate of another name is refused" "$heard" no
like "and the dead letter says so" "$(why)" "no alternative certificate subject name matches"
serve_ends
serve -cert expired.pem -key expired.key
one_event --ca-file expired.pem
is "an expired certificate is refused" "$heard" no
like "as one" "$(why)" "certificate has expired"
serve_ends
serve -cert own.pem -key own.key -tls1_1 -cipher ALL:@SECLEVEL=0
one_event --ca-file own.pem
is "TLS 1.1 is refused" "$heard" no
like "as a version" "$(why)" "version"
serve_ends
serve -cert own.pem -key own.key -tls1_2
one_event --ca-file own.pem
is "TLS 1.2 is good enough" "$heard" yes
serve_ends

serve -cert own.pem -key own.key
https_proxy=http://127.0.0.1:1/ ALL_PROXY=socks5h://127.0.0.1:1/ SSL_CERT_FILE=other.pem one_event --ca-file own.pem
is "proxies of the environment are not used for https either" "$heard" yes
serve_ends

serve -cert own.pem -key own.key -Verify 1 -verify_return_error -CAfile client.pem
one_event --ca-file own.pem
is "a receiver that wants a certificate hears nothing without one" "$heard" no
serve_ends
serve -cert own.pem -key own.key -Verify 1 -verify_return_error -CAfile client.pem
one_event --ca-file own.pem --client-cert client.pem --client-key client.key
is "with --client-cert and --client-key it gets the event" "$heard" yes
serve_ends
cat client.pem client.key >both.pem
serve -cert own.pem -key own.key -Verify 1 -verify_return_error -CAfile client.pem
one_event --ca-file own.pem --client-cert both.pem
is "and with both in one file" "$heard" yes
serve_ends

# Both sides have new certificates, under the names of the old, while the relay runs.
answer() { await 10 grep -q '^POST /hook' got && printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' >&3; }
certificate renewed localhost
cp own.pem trusted.pem
cp client.pem shown.pem
cp client.key shown.key
new_database
serve -cert own.pem -key own.key -Verify 1 -verify_return_error -CAfile client.pem
start live --webhook "$URL" --backoff 50ms,100ms --ca-file trusted.pem --client-cert shown.pem --client-key shown.key
emit 1
answer
ok "a relay that runs delivers" await 10 is_acked webhook 1
serve_ends
for file in renewed.pem:trusted.pem other.pem:shown.pem other.key:shown.key; do
    cp "${file%:*}" new && mv new "${file#*:}"
done
port=${URL%/hook} port=${port##*:}
serve -cert renewed.pem -key renewed.key -Verify 1 -verify_return_error -CAfile other.pem
emit 1
answer
ok "certificates that are replaced hold from the next connection on" await 10 is_acked webhook 2
is "and no attempt has failed of them" "$(grep outcome= live.err)" ""
kill -TERM "$pid"
ends "$pid"
serve_ends

# refused WORDS ARGUMENT…: at the start, with exit code 2.
refused() {
    local words=$1
    shift
    relay --webhook https://localhost/ --check-config "$@"
    like "refused: $*" "$code $(cat err)" "$words"
    is "with one line and exit code 2" "$code $(wc -l <err)" "2 1"
}

openssl ec -in client.key -aes128 -passout pass:x -out locked.key 2>/dev/null
(umask 022 && cp client.key open.key)
chmod 644 open.key
refused "nowhere.pem: No such file" --ca-file nowhere.pem
refused "client.key holds no certificate in PEM" --ca-file client.key
refused "nowhere.pem: No such file" --client-cert nowhere.pem
refused "client.pem holds no private key" --client-cert client.pem
refused "client-key is for a client-cert" --client-key client.key
refused "nowhere.key: No such file" --client-cert client.pem --client-key nowhere.key
refused "others can read open.key" --client-cert client.pem --client-key open.key
refused "needs no passphrase" --client-cert client.pem --client-key locked.key
refused "is not that of the certificate" --client-cert client.pem --client-key other.key

done_testing
