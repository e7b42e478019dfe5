#!/usr/bin/env bash
# What the tests write down: tests/results puts a section into its place, and loses none.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
export RESULTS=$TMP/RESULTS.md

page() { printf '# Head\n\n<!-- begin one -->\n\n%s\n\n<!-- end one -->\n\nBetween.\n\n<!-- begin two -->\n\n%s\n\n<!-- end two -->\n' "$1" "$2"; }
section() { said=$("$ROOT/tests/results" "$1" 2>&1); } # <text

page old kept >"$RESULTS"
chmod 640 "$RESULTS"
ok 'a section is put into its place' section one <<<'new \1 & <b>'
is 'and the rest stays as it was, its mode too' "$(cat "$RESULTS"; stat -c %a "$RESULTS")" "$(page 'new \1 & <b>' kept; echo 640)"
printf 'a | b\n\n' | "$ROOT/tests/results" --output two
is "a program's output is framed, and says when, where and what of" \
    "$(sed -n '/begin two/,/end two/p' "$RESULTS" | sed -E 's/^20[0-9-]+ [0-9:]+ UTC, [0-9]+ cores, [^,]+, commit [0-9a-z]+\+?\.$/STAMP/')" \
    "$(printf '<!-- begin two -->\n\nSTAMP\n\n```\na | b\n```\n\n<!-- end two -->')"
before=$(cksum <"$RESULTS")
section three <<<'text'
is 'an unknown section is refused, in one line that names those there are' "$? $said" \
    "2 tests/results: no section 'three'; there are: one, two"
section one </dev/null
is 'no text is refused' "$? $said" "2 tests/results: no text for section 'one': standard input is empty"
section one <<<'<!-- end one -->'
is 'and so is one that would end its section' "$? $said" \
    "2 tests/results: the text for section 'one' has the line of a section's edge in it"
is 'what is refused changes nothing' "$(cksum <"$RESULTS")" "$before"
for i in 1 2 3 4 5 6 7 8; do printf '<!-- begin %s -->\nold\n<!-- end %s -->\n' "$i" "$i"; done >"$RESULTS"
for i in 1 2 3 4 5 6 7 8; do section "$i" <<<'new' & done
wait
is 'eight at once: all of it is there, and nothing else lies about' \
    "$(grep -c new "$RESULTS") $(find "$TMP" -type f | wc -l)" '8 1'
for name in scorecard torture benchmarks teeth models fuzzers coverage; do
    ok "the page has the section $name" grep -qx "<!-- end $name -->" "$ROOT/tests/RESULTS.md"
done
done_testing
