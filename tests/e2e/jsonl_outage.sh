#!/usr/bin/env bash
# The stream's directory fails a running relay, one way after the other: no inodes, no new names, a file that may not be
# written, a file system that is read-only, gone, closed to its user, a limit on the size of files. Each time the database keeps what is owed, the fault is named, and when it has
# passed the relay goes on by itself, with nothing lost, torn or repeated. R42; a full disk is in jsonl_faults.sh.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"

if [ "$(id -u)" = 0 ] && [ -z "${IN_NAMESPACE:-}" ] && unshare -m true 2>/dev/null; then
    IN_NAMESPACE=1 exec unshare -m "$0"
fi

# outage WHAT WORDS: between `break_it` and `mend_it` events are written; the relay must say WORDS, and heal.
outage() {
    local what=$1 words=$2 dir=$TMP/logs events=${3:-80}
    is_last() { stream_is_at "$dir"; }
    ok "$what: a line is delivered before" await 10 is_last
    break_it
    stream_emit "$events"
    ok "$what: it is named" await 10 grep -q "$words" "$TMP/relay.log"
    ok "$what: what is owed is kept" [ "$(stream_sql 'SELECT count(*) FROM outbox')" -gt 0 ]
    mend_it
    ok "$what: within ten seconds it is good again" await 10 is_last
    is "$what: every line is there once" "$(stream_chain_in "$dir")" "$(stream_wanted)"
    ok "$what: the same relay goes on" kill -0 "$relay"
}

stream_chain_in() { { find "$1" -name 'events.*-*.jsonl' | sort; echo "$1/events.jsonl"; } | xargs cat | stream_chain_of; }
stream_is_at() { [ "$(stream_chain_in "$1")" = "$(stream_wanted)" ]; }

begin() { # COMMAND…: a database, a line, and the relay, run by COMMAND, on $TMP/logs
    rm -f "$TMP"/app.db* "$TMP/relay.log"
    stream_database
    stream_emit 1
    [ "$1" != setpriv ] || chown 65534 "$TMP"/app.db*
    "$@" outbox-relay --db "$TMP/app.db" --jsonl "$TMP/logs/events.jsonl" --jsonl-max-size 4K 2>"$TMP/relay.log" &
    relay=$!
}

end() {
    kill "$relay"
    wait "$relay"
    is "$1: it ends as if nothing had been" $? 0
    rm -rf "$TMP/logs"
}

mkdir "$TMP/logs"
if [ -n "${IN_NAMESPACE:-}" ] && mount -t tmpfs -o nr_inodes=20 none "$TMP/logs" 2>/dev/null; then
    begin env
    break_it() { for i in $(seq 20); do : >"$TMP/logs/x$i"; done 2>/dev/null; }
    mend_it() { rm "$TMP"/logs/x*; }
    outage 'no inodes' 'creating it: No space left'
    kill "$relay"
    wait "$relay"
    umount "$TMP/logs"
else
    skip 'no inodes' 'may not mount a small file system of its own'
fi

if [ "$(id -u)" = 0 ] && chattr +i "$TMP/logs" 2>/dev/null && chattr -i "$TMP/logs"; then
    begin env
    break_it() { chattr +i "$TMP/logs"; }
    mend_it() { chattr -i "$TMP/logs"; }
    outage 'no new names' 'renaming it to a segment: Operation not permitted'
    end 'no new names'
    mkdir "$TMP/logs"
else
    skip 'no new names' 'may not make a directory immutable here'
fi

if [ "$(id -u)" = 0 ] && : >"$TMP/logs/x" && chattr +i "$TMP/logs/x" 2>/dev/null; then
    chattr -i "$TMP/logs/x" && rm "$TMP/logs/x"
    begin env
    break_it() { chattr +i "$TMP/logs/events.jsonl"; }
    mend_it() { chattr -i "$TMP/logs/events.jsonl"; }
    outage 'not to be written' 'writing: Operation not permitted' 8
    end 'not to be written'
    mkdir "$TMP/logs"
else
    skip 'not to be written' 'may not make a file immutable here'
fi

# The kernel refuses to make a file system read-only below who writes to it, and where it has done so itself there is no
# way back but to mount it anew: so it is strace that says EROFS, four times.
if strace -f -o /dev/null true 2>/dev/null; then
    begin strace -f -qq -o "$TMP/trace" -P "$TMP/logs/events.jsonl" -e trace=pwrite64 -e inject=pwrite64:error=EROFS:when=2..5
    break_it() { :; }
    mend_it() { :; }
    outage 'read-only' 'writing: Read-only file system'
    is 'read-only: it was tried again each time' "$(grep -c INJECTED "$TMP/trace")" 4
    relay=$(pgrep -P "$relay")
    kill "$relay"
    await 10 eval "! kill -0 $relay"
    rm -rf "$TMP/logs" && mkdir "$TMP/logs"
else
    skip 'read-only' 'strace is missing or not permitted'
fi

begin env
break_it() { rm -r "$TMP/logs"; }
mend_it() { mkdir "$TMP/logs"; }
outage 'gone' 'moved, replaced or removed'
end 'gone'

mkdir "$TMP/logs"
begin env
break_it() { prlimit --fsize=2048: --pid "$relay"; }
mend_it() { prlimit --fsize=unlimited: --pid "$relay"; }
outage 'a limit on the size of files' 'File too large'
end 'a limit on the size of files'

mkdir "$TMP/logs"
nobody=(env)
[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if "${nobody[@]}" test -x "$BUILD/outbox-relay"; then
    [ "$(id -u)" != 0 ] || { chmod 777 "$TMP" && chown 65534 "$TMP/logs"; }
    begin "${nobody[@]}"
    break_it() { chmod 000 "$TMP/logs"; }
    mend_it() { chmod 755 "$TMP/logs"; }
    outage 'closed to its user' 'Permission denied'
    end 'closed to its user'
else
    skip 'closed to its user' 'the build is out of reach of an unprivileged user'
fi
done_testing
