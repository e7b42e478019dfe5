#!/usr/bin/env bash
# The report claims nothing that did not run: of a scorecard and records of our own making, each row's state and why.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
mkdir -p "$TMP/tests/torture" "$TMP/tests/support" "$TMP/out"
cp "$ROOT"/tests/{report,results,RESULTS.md} "$TMP/tests/"
cp "$ROOT/tests/torture/run" "$TMP/tests/torture/"
cp "$ROOT/tests/support/record.sh" "$TMP/tests/support/"
cd "$TMP" || exit 1
export BUILD=$TMP/build
unset RESULTS
mkdir -p build
echo "Not run yet." | tests/results teeth # whatever has been run here

# Records as the runners make them: programs that pass, fail, skip, end before their plan, and die after it.
. tests/support/record.sh
record_begin build/test-results
program() { # NAME CODE LINE…
    printf '%s\n' "${@:3}" >"out/$1.out"
    record "out/$1.out" "$2" seconds 1
}
program good 0 'ok 1 - a value of 12 s is kept' 'ok 2 - other' '1..2'
program bad 1 'ok 1 - fine' 'not ok 2 - broken' '1..2'
program skips 0 'ok 1 - fine' 'ok 2 - mounts # SKIP no root' '1..2'
program short 0 'ok 1 - fine' '1..2'
program dies 139 'ok 1 - fine' '1..1'
# shellcheck disable=SC2016 # the words as they stand in a script
scorecard() {
    printf '%s\n' 'R01  good:a value of $seconds s is kept' 'R02  good' 'R02  bad' 'R03  bad:fine' 'R04  skips' 'R05  short' \
        'R06  dies' 'R07  absent' 'R08  good' 'R08  -- the other half' 'R09  -- none' 'R10  good' 'R10  skips:mounts' \
        'R11  slow' 'R16  slow COUNT=3' 'R17  slow COUNT=30' 'R12  good:words of the script' 'R13  bad:words of the script' 'R14  make teeth' 'R15  make asan'
}
scorecard >tests/scorecard
sed 's/ .*//' tests/scorecard | sort -u | sed 's/$/  what | it asks/' >tests/rows
printf '#!/usr/bin/env bash\necho "ok 1 - slowly"\necho "# 7 kills"\necho "# O1 ok     all: 3"\necho "# O5 BROKEN x: 1"\necho 1..1\n' >tests/torture/slow
printf '#!/usr/bin/env bash\nfalse\n' >tests/torture/never
chmod +x tests/torture/*

row() { sed -n "s/^| $1 | what .| it asks | //p" tests/RESULTS.md; }
said=$(tests/report)
is 'a failed row fails the report' "$? $said" '1 scorecard: 3 passed, 2 in part, 4 FAILED, 8 not run'
is 'a check is found by its words, values put in' "$(row R01)" 'passed | good (1 check) |'
is 'one failed test fails its row' "$(row R02)" 'FAILED | good (2 checks), bad (2 checks); bad: broken |'
is 'but no row that does not name it' "$(row R03)" 'passed | bad (1 check) |'
is 'what was skipped has not been run' "$(row R04)" 'not run | skips (2 checks); skips: mounts # SKIP no root |'
is 'what ends before its plan has failed' "$(row R05)" 'FAILED | short (1 check); short: ended with 0 |'
is 'and what dies after it' "$(row R06)" 'FAILED | dies (1 check); dies: ended with 139 |'
is 'what left nothing was not run' "$(row R07)" 'not run | absent was not run |'
is 'a row with something owed is passed in part' "$(row R08)" 'in part | good (2 checks); the other half |'
is 'one without a test is not run' "$(row R09)" 'not run | none |'
is 'one of whose tests was skipped is passed in part' "$(row R10)" \
    'in part | good (2 checks), skips (1 check); skips: mounts # SKIP no root |'
is 'an experiment that was not run is none' "$(row R11)" 'not run | slow was not run |'
is 'words that no check has take the whole script' "$(row R12) $(row R13)" \
    'passed | good (2 checks) | FAILED | bad (2 checks); bad: broken |'
is 'nor has a checker been run' "$(row R14) $(row R15)" 'not run | make teeth was not run | not run | make asan was not run |'

SEED=5 COUNT=3 bash tests/torture/run slow >/dev/null
echo '39 of 40 caught, 1 explained, 0 survived.' | tests/results teeth
tests/report >/dev/null
is 'an experiment has its seed, and says that it was smaller' "$(row R11)" 'passed | **slow** (1 check, seed 5, COUNT=3 only) |'
is 'of the size that a row asks for it is whole' "$(row R16)" 'passed | **slow** (1 check, seed 5, COUNT=3) |'
is 'and of another it was not run' "$(row R17)" 'not run | slow was not run with COUNT=30 |'
is 'the torture section has it, and what was not run' "$(grep -oE '^\| (slow|never) \| [a-z ]+ \||^ +7 kills' tests/RESULTS.md | paste -sd' ')" \
    '| never | not run | | slow | passed |     7 kills'
like "and the oracles' verdicts" "$(cat tests/RESULTS.md)" "verdicts: O1 1 times kept, 0 broken; O5 0 times kept, 1 broken."
is 'and so has the row of the teeth' "$(row R14)" 'passed | make teeth: 39 of 40 caught, 1 explained, 0 survived |'
echo '39 of 40 caught, 0 explained, 1 survived.' | tests/results teeth
tests/report >/dev/null
is 'in which none survives unexplained' "$(row R14)" 'FAILED | make teeth: 39 of 40 caught, 0 explained, 1 survived |'
echo '30 of 40 caught, 1 explained, 0 survived.' | tests/results teeth
tests/report >/dev/null
is 'and which must all be run' "$(row R14)" 'not run | make teeth: 30 of 40 caught, 1 explained, 0 survived; the others were not run |'
done_testing
