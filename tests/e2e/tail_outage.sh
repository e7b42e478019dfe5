#!/usr/bin/env bash
# A reader of the files is down over several rotations, and finds segments closed to it, moved away, compressed, or
# deleted: it names the file, goes on when that is back, and skips nothing. R35, R36, R40.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/stream.sh
. "$ROOT/tests/support/stream.sh"
# shellcheck source=tests/torture/common.sh
. "$ROOT/tests/torture/common.sh"

chmod 755 "$TMP"
mkdir "$TMP/state"
nobody=(env)
if [ "$(id -u)" = 0 ]; then
    nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown 65534 "$TMP/state"
fi
if ! "${nobody[@]}" test -x "$BUILD/torture/reader"; then
    skip 'a reader and its outages' 'the build is out of reach of an unprivileged user'
    done_testing
    exit
fi

reader() { timeout 20 "${nobody[@]}" "$BUILD/torture/reader" "$TMP/state/own.db" "$STREAM" "$TMP/state/handed" "$@"; }
handed() { grep -cE '^[0-9]+$' "$TMP/state/handed"; }
last_line() { tail -n 1 "$TMP/state/handed"; }
relay_all() { # COUNT: so many events, and a rotation where there is one due
    nap 1000 # the second between two rotations
    stream_emit "$1"
    relay_once
    chmod o+r "$TMP"/events.*
}
segment_of() { # SEQ
    find "$TMP" -maxdepth 1 -name 'events.*-*.jsonl' | while read -r file; do
        [[ $file =~ 0*([0-9]+)-0*([0-9]+).jsonl$ ]] && [ "${BASH_REMATCH[1]}" -le "$1" ] &&
            [ "$1" -le "${BASH_REMATCH[2]}" ] && echo "$file"
    done
}

LIMIT=4K
torture_database
stream_emit 5
relay_once
chmod o+r "$TMP"/events.*
ok 'a reader reads to the end' reader 5
for _ in 1 2 3 4; do relay_all 30; done
is 'while it is down there are four rotations' "$(find "$TMP" -name 'events.*-*.jsonl' | wc -l)" 4
needed=$(segment_of 6)
last=125

chmod 000 "$needed"
reader "$last" &
pid=$!
ok 'a segment closed to it is named' await 10 grep -qF "WAIT $needed: Permission denied" "$TMP/state/handed"
is 'meanwhile nothing is handed out' "$(handed)" 5
chmod 644 "$needed"
wait "$pid"
is 'open again it is read, with all that follows' $? 0
is 'nothing was skipped' "$(handed)" "$last"

relay_all 30
relay_all 30
needed=$(segment_of $((last + 1)))
gzip "$needed"
reader 185
is 'a segment that is compressed is a gap' $? 3
first=$(($(printf '%s' "$needed" | sed -E 's/.*-0*([0-9]+)\.jsonl/\1/') + 1))
is 'with the last seq read and the first that is there' "$(last_line)" "GAP $last $first"
gunzip "$needed.gz"
ok 'with the segment back it goes on' reader 185
is 'and has skipped nothing' "$(handed)" 185
is 'nor read anything twice' "$(grep -E '^[0-9]+$' "$TMP/state/handed" | sort -un | wc -l)" 185
done_testing
