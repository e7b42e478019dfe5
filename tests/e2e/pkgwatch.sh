#!/usr/bin/env bash
# pkgwatch.sh — the example application: what it counts is what it wrote, each row with its event, through kill -9 too.
set -u
cd "$(dirname "$0")/../.." || exit 2
pkgwatch=$(realpath "${BUILD:-build}")/examples/pkgwatch/pkgwatch
sample=$PWD/contrib/examples/pkgwatch/sample-status
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
tests=0

ok() { # TEXT COMMAND…
    local text=$1
    shift
    tests=$((tests + 1))
    if "$@"; then
        echo "ok $tests - $text"
    else
        echo "not ok $tests - $text"
        sed 's/^/# /' out err
    fi
}
run() { "$pkgwatch" --db "${db:-p.db}" "$@" >out 2>err; }
summary() { [ "$(<out)" = "$1" ]; }
sql() { sqlite3 -bail "${db:-p.db}" "$1"; }
# Every row's last event is the row as it stands, and nothing else was ever owed.
consistent() {
    [ "$(sql "SELECT count(*) FROM packages AS p LEFT JOIN change_log AS c
               ON c.key = json_array(p.name, p.architecture) AND c.revision = p.revision AND c.op <> 'delete'
              AND c.payload->>'version' IS p.version AND c.payload->>'maintainer' IS p.maintainer WHERE c.seq IS NULL")" = 0 ] &&
        [ "$(sql 'SELECT count(*) FROM change_log')" = "$(sql 'SELECT count(*) FROM outbox')" ] &&
        [ "$(sql "SELECT total(iif(op = 'insert', 1, iif(op = 'delete', -1, 0))) = (SELECT count(*) FROM packages) FROM change_log")" = 1 ]
}

run --file "$sample"
ok "every package is added, and one name may have two architectures" summary "5 packages: 5 added, 0 changed, 0 removed, 0 unchanged"
ok "each with its event" consistent
ok "continuation lines are no fields, and UTF-8 arrives" \
    test "$(sql "SELECT maintainer || '|' || description || '|' || installed_size FROM packages WHERE name = 'bellows'")" = \
    "Zoë Beispiel <zoe@example.org>|adds air where it is wanted|96"
run --file "$sample"
ok "a second run changes nothing" summary "5 packages: 0 added, 0 changed, 0 removed, 5 unchanged"
ok "and makes no event" test "$(sql 'SELECT max(seq) FROM change_log')" = 5

sed -e '/^Package: tongs/,/^$/d' -e 's/^Version: 3.3$/Version: 3.4/;s/^Version: 2.4.1-1$/Version: 2.4.2-1/' "$sample" >status
run --file status
ok "a new version is one change, and what is gone is removed" summary "4 packages: 0 added, 1 changed, 1 removed, 3 unchanged"
ok "as two events, with the row before" \
    test "$(sql "SELECT group_concat(op || ' ' || (before->>'version') || ' ' || ifnull(payload->>'version', '-')) FROM change_log WHERE seq > 5")" = \
    "update 2.4.1-1 2.4.2-1,delete 3.3 -"
run --file "$sample"
ok "what comes back is added, its revision higher than before" \
    test "$(<out) $(sql "SELECT revision FROM packages WHERE name = 'tongs'")" = "5 packages: 1 added, 1 changed, 0 removed, 3 unchanged 3"
ok "and all is consistent" consistent

run --file /dev/null
ok "an empty file removes nothing" test "$? $(sql 'SELECT count(*) FROM packages')" = "1 5"
printf 'Package: bad\nArchitecture: all\nMaintainer: \377\n\nPackage: good\nArchitecture: all' >odd
db=odd.db run --file odd
ok "a package that can't be stored holds up no other, and is told" \
    test "$? $(<out) $(wc -l <err)" = "1 2 packages: 1 added, 0 changed, 0 removed, 0 unchanged, 1 refused 1"
printf 'Package: twin\nArchitecture: all\nVersion: 2\n\nPackage: twin\nArchitecture: all\nVersion: 1\n' >twins
db=twins.db run --file twins
db=twins.db run --file twins
ok "of two versions in one list the first counts, every time" summary "1 packages: 0 added, 0 changed, 0 removed, 1 unchanged"

# 20,000 packages, through a pipe that the test holds: each kill falls into the middle of the work.
seq 20000 | awk '{ printf "Package: p%d\nArchitecture: all\nVersion: %d\nMaintainer: m\n\n", $1, $1 }' >many
export db=many.db
mkfifo pipe
for lines in 12003 37777 60001; do
    "$pkgwatch" --db $db --file pipe >out 2>err &
    pid=$!
    exec 7>pipe
    head -n $lines many >&7
    kill -9 $pid
    exec 7>&-
    wait $pid 2>err
done
ok "killed three times on the way, no row is without its event" consistent
ok "and something was done" test "$(sql 'SELECT count(*) FROM packages')" -gt 1000
run --file many
ok "the next run does the rest" test "$(sql "SELECT count(*), sum(revision) FROM packages")" = "20000|20000"
ok "and no package has two events" test "$(sql 'SELECT count(*), max(seq) FROM change_log')" = "20000|20000"

echo "1..$tests"
