# record.sh — what came of a program that speaks TAP, kept for tests/report; sourced by tests/run and tests/torture/run.
#
#     record_begin DIRECTORY [KEEP]     the directory; without KEEP it begins empty
#     record OUTPUT CODE [NAME VALUE]…  one file there, called as OUTPUT is without its .out
#
# A record is lines of words with a tab between: first what is known of the run (commit, date, exit, and the names given),
# then `ok`, `not ok` and `skip` with the check's own words, then `figure` with those of a line `# …`.
# shellcheck shell=bash

# The commit, with a + where the tree differs from it; the page that the tests write themselves is no difference.
record_commit() {
    local git=(git -c "safe.directory=$PWD") dirty
    commit=$("${git[@]}" rev-parse --short HEAD 2>/dev/null) || { echo unknown; return; }
    dirty=$("${git[@]}" status --porcelain --untracked-files=no -- . ':!tests/RESULTS.md' 2>/dev/null)
    echo "$commit${dirty:++}"
}

record_begin() {
    RECORDS=$1
    [ -n "${2:-}" ] || rm -rf "$RECORDS"
    mkdir -p "$RECORDS"
    RECORD_COMMIT=$(record_commit)
}

record() {
    local output=$1 code=$2 name
    name=$(basename "$output" .out)
    shift 2
    {
        printf '%s\t%s\n' commit "$RECORD_COMMIT" date "$(date -u +%FT%H:%MZ)" exit "$code" "$@"
        awk -v OFS='\t' '
            /^(not )?ok / {
                state = /^ok/ ? "ok" : "not ok"
                if (tolower($0) ~ /# *skip/) state = "skip"
                sub(/^(not )?ok *[0-9]* *(- )?/, "")
                print state, $0
            }
            /^1\.\.[0-9]+/ { print "plan", substr($1, 4) }
            /^# / { print "figure", substr($0, 3) }' "$output"
    } >"$RECORDS/$name.new" && mv "$RECORDS/$name.new" "$RECORDS/$name"
}
