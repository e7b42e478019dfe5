#!/usr/bin/env bash
# relay_bad_input.sh — what the relay is given wrong: one line that says what and what to try, the right exit code, and
# nothing lost of what is owed.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

cd "$TMP" || exit 1
new_database
emit 3

owed() { sql "SELECT count(*) FROM outbox"; }

# refused WHAT CODE WORDS… -- ARGUMENT…: exits with CODE and one line with all WORDS in it, and what was owed still is.
refused() {
    local what=$1 wanted=$2 words=() said
    shift 2
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    relay "$@"
    said=$(cat err)
    is "$what: $wanted, in one line" "$code $(wc -l <err) $(wc -c <out) $(owed)" "$wanted 1 0 3"
    for word in "${words[@]}"; do like "$what: says '$word'" "$said" "$word"; done
}

refused "no sink" 2 "no sink" "--jsonl PATH" --
refused "an unknown option" 2 "--jsnol: no such option" "outbox-relay --help" -- --jsnol x
refused "an option without its value" 2 "--jsonl: the value is missing" -- --jsonl
refused "an argument of no option" 2 "argument 4" -- --stdout events.jsonl
refused "a URL without scheme" 2 "--webhook: not a URL" "https://HOST/PATH" -- --webhook hooks.example/x
refused "a URL of another scheme" 2 "only http:// and https://" -- --webhook ftp://hooks.example/x
refused "plain http to everybody" 2 "http://hooks.example" "use https" -- --webhook http://hooks.example/x
refused "two sinks for one option" 2 "--filter: would fit 2 sinks" "--config" -- --stdout --null --filter 1
refused "a number that is none" 2 "--concurrency: 'many'" -- --webhook https://h.example/ --concurrency many
refused "more of an answer than is ever kept" 2 "--keep-answer" "0 to 1K" -- --webhook http://localhost --keep-answer 2K
refused "a filter that isn't SQL" 2 "--filter" "syntax error" -- --stdout --filter "topic ="
refused "a filter of no such column" 2 "no such column: colour" -- --stdout --filter "colour = 1"
refused "a missing config" 2 "none.conf: No such file" -- --config none.conf

echo canary >secret && chmod 644 secret
refused "a secret that others can read" 2 "secret (mode 0644)" "chmod 600" -- --webhook https://h.example/ --webhook-secret-file secret
chmod 600 secret
refused "a secret that is none" 2 "secret 1 is not the base64" "openssl rand" -- --webhook https://h.example/ --webhook-secret-file secret
is "and isn't shown" "$(grep -c canary err)" 0

printf 'db = "%s"\n\nsink a {\n  jsnol = x\n}\n' "$DB" >relay.conf
refused "an unknown key" 2 "relay.conf:4: no such option 'jsnol'" -- --config relay.conf
printf 'sink a {\n  stdout = true\n  keep = 3\n}\n' >relay.conf
refused "a key of another kind of sink" 2 "relay.conf:3: keep" -- --config relay.conf
printf 'sink a {\n  jsonl = x\n  jsonl = y\n}\n' >relay.conf
refused "a key given twice" 2 "relay.conf:3: jsonl is given twice, the first time in line 2" -- --config relay.conf
is "and no file was begun" "$(ls -d x y 2>/dev/null)" ""
printf 'sink a {\n  stdout = true\n' >relay.conf
refused "a config cut short" 2 "relay.conf:2: the file ends too early" -- --config relay.conf

is "none of it has registered a consumer" "$(sql 'SELECT count(*) FROM consumer_offsets')" 0

# These are the sink's to find: its consumer is registered by then, which is worth a line of its own.
refused "a directory that isn't there" 100 "none" -- --log-level error --jsonl none/events.jsonl --once
touch file
refused "a directory that is a file" 100 "file" -- --log-level error --jsonl file/events.jsonl --once

# A consumer is what it was at first.
outbox-relay --db "$DB" --stdout --consumer kind --once >/dev/null 2>&1
refused "a consumer of another kind" 100 "kind: a consumer of this name is of kind stdout, and this is of kind null" \
    -- --log-level error --null --consumer kind --once
sql "DELETE FROM consumer_offsets WHERE consumer = 'kind'"

# Root may write everywhere, so the directory is tried as somebody else.
if [ "$(id -u)" -eq 0 ]; then
    cp "$BUILD/outbox-relay" . && mkdir closed db && chmod 755 . && chmod 555 closed
    mv "$DB" "$DB"-* db/ 2>/dev/null
    chown -R 65534 db
    # (Built for coverage it has counts to write down, and says where it can't: so somewhere where it can.)
    GCOV_PREFIX=$PWD/db setpriv --reuid=65534 --regid=65534 --clear-groups timeout 30 ./outbox-relay --db db/shop.db --once \
        --log-level error --jsonl closed/events.jsonl >out 2>err
    is "a directory that can't be written: 100, in one line" "$? $(wc -l <err)" "100 1"
    like "and says which" "$(cat err)" "closed"
    DB=$TMP/db/shop.db
    is "nothing is lost by it" "$(owed)" 3
else
    mkdir closed && chmod 555 closed
    refused "a directory that can't be written" 100 "closed" -- --log-level error --jsonl closed/events.jsonl --once
fi

# The database itself: each time another one.
refused_database() { # WHAT CODE WORDS PATH
    timeout 30 outbox-relay --db "$4" --stdout --once >out 2>err
    is "$1: $2, in one line" "$? $(wc -l <err) $(wc -c <out)" "$2 1 0"
    like "$1: says '$3'" "$(cat err)" "$3"
}

refused_database "a missing database" 111 "outboxctl --db missing.db init" missing.db
is "and is not created" "$(ls missing.db* 2>/dev/null)" ""
seq 1000 >text.db
refused_database "a file that is no database" 100 "is not a database" text.db
sqlite3 plain.db "PRAGMA journal_mode = WAL; CREATE TABLE t(a)" >/dev/null
refused_database "a database without our tables" 100 "plain.db init" plain.db
sqlite3 rollback.db <"$ROOT/schema/001-outbox.sql"
refused_database "a database that isn't in WAL mode" 100 "PRAGMA journal_mode" rollback.db
done_testing
