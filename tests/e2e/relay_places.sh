#!/usr/bin/env bash
# relay_places.sh — where the relay reads and writes, and where not: the database's files through SQLite alone; a stream
# whose directory is moved away under it; links that somebody else puts where the stream is to be; a root that is read-only.
# R22, S16, S17, S27. ROUNDS: how often the stream is begun anew under the other user's hands.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
ROUNDS=${ROUNDS:-15}

# ---- The database's files (R22): closing a descriptor that SQLite knows nothing of drops its locks

# Each open of one of them that no frame of SQLite's stands behind. Where another thread comes between, the stack stands under
# the call's second line.
opens_of_others() {
    awk -v db="$DB" '
        function judge() { if (call != "" && !ours) print call; call = "" }
        function begins(what) { call = what; opens++ }
        /^open/ {
            judge(); ours = 0
            if (!index($0, "\"" db "\"") && !index($0, "\"" db "-")) next
            if (/<unfinished/) half[$1] = $0; else begins($0)
            next
        }
        /^[0-9]* *<\.\.\. open.* resumed/ { judge(); ours = 0; if ($1 in half) begins(half[$1]); delete half[$1]; next }
        /^ *>/ { if (/libsqlite3/) ours = 1; next }
        { judge() }
        END { judge(); print opens + 0 " opens" }' "$1"
}
new_database
emit 200
if strace -f -k -e trace=open,openat -o "$TMP/trace" true 2>/dev/null && grep -q '^ >' "$TMP/trace"; then
    strace -ff -k -qq -e trace=open,openat -o "$TMP/trace" outbox-relay --db "$DB" --jsonl "$TMP/events.jsonl" \
        --webhook http://127.0.0.1:1/ --stdout --once >/dev/null 2>"$TMP/err"
    cat "$TMP"/trace.* >"$TMP/trace" # a file a thread: in one they would interrupt each other
    said=$(opens_of_others "$TMP/trace")
    is "nobody but SQLite opens the database's files" "$(grep -v opens <<<"$said")" ''
    ok "and they were opened ($said)" [ "$(sed -nE 's/ opens$//p' <<<"$said")" -gt 3 ]
else
    skip "nobody but SQLite opens the database's files" 'strace with stacks is missing or not permitted'
fi

# ---- The stream's directory is moved away, and another or a link put in its place (S17)

for other in directory link; do
    new_database
    rm -rf "$TMP/stream" "$TMP/away" "$TMP/elsewhere"
    mkdir "$TMP/stream" "$TMP/elsewhere"
    start moved --jsonl "$TMP/stream/events.jsonl" --jsonl-max-size 4K
    emit 20
    ok "$other: it delivers" await 10 is_acked jsonl 20
    mv "$TMP/stream" "$TMP/away"
    if [ "$other" = link ]; then ln -s "$TMP/elsewhere" "$TMP/stream"; else mkdir "$TMP/stream"; fi
    emit 100
    await 3 is_acked jsonl 120
    kill -TERM "$pid"
    ends "$pid"
    is "$other: where a $other has taken its directory's place nothing is written" \
        "$(find "$TMP/stream/" "$TMP/elsewhere" -name '*.jsonl*' ! -name '*.lock')" ''
    rm -rf "$TMP/stream" && mv "$TMP/away" "$TMP/stream"
    relay --jsonl "$TMP/stream/events.jsonl" --once
    is "$other: with its own back nothing is missing, and nothing twice" \
        "$code $(cat "$TMP/stream/"events.*-*.jsonl "$TMP/stream/events.jsonl" 2>/dev/null | sed -E 's/^\{"seq":([0-9]+),.*/\1/' | sort -n | cksum)" \
        "0 $(seq 120 | cksum)"
done

# ---- Somebody else's links in its directory (S16)

python=$(command -v /usr/bin/python3 || command -v python3)
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups "$python" -c '' 2>/dev/null; then
    chmod 711 "$TMP"
    (umask 077 && : >"$TMP/precious") # empty: it could be taken for a stream that begins
    mkdir -m 777 "$TMP/shared"
    setpriv --reuid 65534 --regid 65534 --clear-groups "$python" -c '
import os, sys
name, target = sys.argv[1:]
ways = [os.symlink, os.link, lambda _, n: os.mkfifo(n)]
count = 0
print("there", flush=True)
while True:
    try:
        count += 1
        ways[count % 3](target, name)
        os.unlink(name)
    except OSError:
        pass' "$TMP/shared/events.jsonl" "$TMP/precious" >"$TMP/attacker" 2>&1 &
    attacker=$!
    ok 'another user is at work in the directory' await 10 grep -q there "$TMP/attacker"
    began=0 refused=0 odd=''
    for ((n = 0; n < ROUNDS; n++)); do
        new_database
        emit 3
        rm -f "$TMP/shared"/*.jsonl
        relay --jsonl "$TMP/shared/events.jsonl" --once
        case $code in 0) began=$((began + 1)) ;; 100 | 111) refused=$((refused + 1)) ;; *) odd+="exit $code: $(cat "$TMP/err") " ;; esac
    done
    kill "$attacker"
    wait "$attacker" 2>/dev/null
    is "another user's links, pipes and hard links in its place: written through none ($began streams begun, $refused refused)" \
        "$(cat "$TMP/precious")$odd" ''
else
    skip "another user's links" 'not root, or setpriv or a python that others may run is missing'
fi

# ---- As nobody, with a root that is read-only (S27)

here=$TMP/nobody
mkdir -p "$here"
DB=$here/shop.db
new_database
emit 20
printf 'db = "%s"\nsink lines { jsonl = "%s" max-size = 4K }\nsink out { stdout = true }\n' "$DB" "$here/events.jsonl" >"$here/relay.conf"
chown -R 65534:65534 "$here" 2>/dev/null && chmod 711 "$TMP"
# shellcheck disable=SC2016 # its own words
if unshare -m sh -c 'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro /' "$here" 2>/dev/null; then
    unshare -m sh -c 'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / && ! touch /tmp/x 2>/dev/null &&
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        timeout 20 "$1" --config "$0/relay.conf" --once >"$0/out" 2>"$0/err"' "$here" "$BUILD/outbox-relay"
    is 'as nobody, on a read-only root: it delivers' "$? $(grep -c ' error ' "$here/err")" '0 0'
    is 'all of it' "$(cat "$here"/events*.jsonl | wc -l) $(wc -l <"$here/out")" '20 20'
else
    skip 'on a read-only root' 'mounts are not permitted'
fi
done_testing
