#!/usr/bin/env bash
# README's words, as they stand: the first event, the C example against an installed tree, plain SQL, the config.
. "$(dirname "$0")/../support/tap.sh"

# block LANGUAGE WORD: the first fenced block of that language that holds WORD.
block() {
    awk -v lang="\`\`\`$1" -v word="$2" '
        !inside && /^```/ { inside = 1; ours = $0 == lang; text = ""; next }
        inside && /^```$/ { inside = 0; if (ours && !found && index(text, word)) { printf "%s", text; found = 1 } next }
        inside { text = text $0 "\n" }' "$ROOT/README.md"
}

# What differs from run to run: the source and the time.
steady() { sed -E 's/[0-9a-f]{16}-/SOURCE-/g; s/"time":"[^"]*"/"time":"T"/g'; }

cd "$TMP" || exit 1
block sh 'outboxctl init' | sed 's|PATH="$PWD/build:$PATH"||' >first.sh
(set -e; . ./first.sh) >first.out 2>first.err
is "four commands lead to a first event, as README shows it" "$(steady <first.out)" "$(block '' '"seq":1' | steady)"
[ -s first.out ] || sed 's/^/# /' first.err

block sql 'INSERT INTO outbox_events' >plain.sql
ok "the plain INSERT works in the sqlite3 shell" sqlite3 shop.db ".read plain.sql"
is "and is delivered" "$(outbox-relay --db shop.db --stdout --once 2>/dev/null | jq -r 'select(.op == "emit") | .topic + " " + .key + " " + .payload.to')" "mail m-1 ann@example.com"

mkdir c && cd c || exit 1
block c 'int main' >ship.c
if make -C "$ROOT" --no-print-directory BUILD="$BUILD" ${SANITIZE:+SANITIZE=$SANITIZE} install DESTDIR="$TMP/root" PREFIX=/usr >install.log 2>&1; then
    pass "make install puts everything under DESTDIR"
else
    fail "make install puts everything under DESTDIR" "$(tail -5 install.log)"
fi
export PKG_CONFIG_PATH="$TMP/root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$TMP/root"
# shellcheck disable=SC2046 # words
ok "the C example compiles without a warning against what was installed" \
    cc -Wall -Wextra -Werror ${SANITIZE:+-fsanitize=$SANITIZE} -o ship ship.c $(pkg-config --cflags --libs outbox)
is "and does what it says" "$(LD_LIBRARY_PATH="$TMP/root/usr/lib" ./ship 2>&1)" \
    "table orders, key o-7: expected revision 4, found 1
o-7 is at revision 2, event 2"
block c 'outbox_pool_run' >pool.c
# shellcheck disable=SC2046 # words
ok "so does the pool's" cc -Wall -Wextra -Werror ${SANITIZE:+-fsanitize=$SANITIZE} -o pool pool.c $(pkg-config --cflags --libs outbox)
ok "which writes an order" env LD_LIBRARY_PATH="$TMP/root/usr/lib" ./pool
is "once: it exists then" "$(LD_LIBRARY_PATH="$TMP/root/usr/lib" ./pool 2>&1)" "table orders, key o-8: expected no row, found revision 1"
for page in outbox-relay outboxctl; do
    ok "$page has its man page" test -s "$TMP/root/usr/share/man/man1/$page.1"
done
cd .. || exit 1

mkdir conf && head -c 32 /dev/urandom | base64 >conf/billing.secret && chmod 600 conf/billing.secret
block '' 'sink events' | sed "s|/var/lib/shop/shop.db|$TMP/shop.db|; s|/var/log/shop|$TMP/conf|; s|/etc/shop|$TMP/conf|" >conf/relay.conf
ok "the config is understood" outbox-relay --config conf/relay.conf --check-config

is "nothing but outbox_* is exported" "$(nm -D --defined-only "$BUILD/liboutbox.so.0" | awk '$3 !~ /^outbox_/ {print $3}' | grep -v '^_' | head -3)" ""
done_testing
