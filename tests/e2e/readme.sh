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
# Programs linked to it have to start, so root's own install tells the loader; not a package's, nor anybody else's.
mkdir stubs && printf '#!/bin/sh\necho "$USER_ID"\n' >stubs/id && printf '#!/bin/sh\necho called\nexit 1\n' >stubs/ldconfig && chmod +x stubs/*
install_as() { # install_as UID ARGUMENT…: whether ldconfig, which fails here, is called
    USER_ID=$1 PATH="$PWD/stubs:$PATH" make -C "$ROOT" --no-print-directory BUILD="$BUILD" \
        ${SANITIZE:+SANITIZE=$SANITIZE} install "${@:2}" 2>&1 | grep -c '^called$'
    echo "${PIPESTATUS[0]}"
}
is "root's install runs ldconfig, and does not depend on it" "$(install_as 0 PREFIX="$TMP/usr" | xargs)" "1 0"
is "one into a package does not" "$(install_as 0 DESTDIR="$TMP/root" PREFIX=/usr | xargs)" "0 0"
is "nor does another user's" "$(install_as 1000 PREFIX="$TMP/usr" | xargs)" "0 0"
for page in outbox-relay outboxctl; do
    ok "$page has its man page" test -s "$TMP/root/usr/share/man/man1/$page.1"
done
cd .. || exit 1

mkdir conf && head -c 32 /dev/urandom | base64 >conf/billing.secret && chmod 600 conf/billing.secret
block '' 'sink events' | sed "s|/var/lib/shop/shop.db|$TMP/shop.db|; s|/var/log/shop|$TMP/conf|; s|/etc/shop|$TMP/conf|" >conf/relay.conf
ok "the config is understood" outbox-relay --config conf/relay.conf --check-config

# ---- The extension, in the languages that are installed ----
. "$ROOT/tests/support/extension.sh"
. "$ROOT/tests/support/node.sh"
mkdir sql && cd sql || exit 1
block sql '.load' | sed "s|/usr/local/lib/mod_outbox|$BUILD/mod_outbox|" >shell.sql
is "the sqlite3 shell runs its part as it stands" "$(host sqlite3 -bail shop.db <shell.sql 2>&1)" '1
1
2
{"id":"o-8","total":10.0,"revision":2}
3
4
1|insert|{"id":"o-8","total":9.5,"revision":1}
2|update|{"id":"o-8","total":10.0,"revision":2}
3|delete|
1|insert|o-8
2|update|o-8
3|emit|m-2
4|delete|o-8
4'
if [ -n "$PYTHON" ]; then
    block python 'import outbox' >shop.py
    rm -f shop.db*
    is "Python runs its part as it stands" "$(PYTHONPATH=$ROOT/contrib/python PYTHONDONTWRITEBYTECODE=1 host "$PYTHON" shop.py 2>&1)" \
        'not written: it is at 1
orders insert o-9
orders delete o-9
mail emit m-3'
else
    skip "Python runs its part as it stands" "$no_python"
fi
reason=$(node_reason)
if [ -z "$reason" ]; then
    block js "import outbox" >shop.mjs
    rm -f shop.db*
    mkdir node_modules && ln -s "$ROOT/contrib/node" node_modules/outbox-sqlite
    is "Node runs its part as it stands" "$(NODE_PATH=$NODE_PACKAGES node shop.mjs 2>&1)" \
        'not written: it is at 1
orders insert o-10'
else
    skip "Node runs its part as it stands" "$reason"
fi
cd .. || exit 1

is "nothing but outbox_* is exported" "$(nm -D --defined-only "$BUILD/liboutbox.so.0" | awk '$3 !~ /^outbox_/ {print $3}' | grep -v '^_' | head -3)" ""
done_testing
