#!/usr/bin/env bash
# demo.sh — `make demo` does what it says, and leaves nothing behind.
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tmp"
tests=0

ok() { # TEXT COMMAND…
    local text=$1
    shift
    tests=$((tests + 1))
    if "$@"; then
        echo "ok $tests - $text"
    else
        echo "not ok $tests - $text"
        tail -n 5 "$dir/out" "$dir/err" | sed 's/^/# /'
    fi
}

# A shell that has been through the quick start has these.
export OUTBOX_DB=$dir/other.db OUTBOX_WEBHOOK_SECRET=whsec_short
TMPDIR=$dir/tmp contrib/demo >"$dir/out" 2>"$dir/err"
ok "the demo ends well" test $? = 0
ok "and says so last" test "$(tail -n 1 "$dir/out")" = "All as it should be."
ok "one package has a new version, no other is touched" grep -Eq '^ +[0-9]+ packages: 0 added, 1 changed, 0 removed, [0-9]+ unchanged$' "$dir/out"
ok "its event is shown twice, from the file and from the receiver" test "$(grep -c '+demo1' "$dir/out")" = 2
ok "no secret is shown" test "$(grep -c whsec_ "$dir/out" "$dir/err" | tr -d '\n')" = "$dir/out:0$dir/err:0"
ok "nothing is left behind" test -z "$(ls -A "$dir/tmp")"

echo "1..$tests"
