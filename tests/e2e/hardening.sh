#!/usr/bin/env bash
# What the binaries are built with: position-independent, relocations read-only and bound at start, no executable stack, stack
# canaries, checked libc calls; and what they leave open: nothing exported but outbox_*, nothing needed but what is said.
. "$(dirname "$0")/../support/tap.sh"

programs=("$BUILD/outbox-relay" "$BUILD/outboxctl")
libraries=("$BUILD"/lib*.so.0 "$BUILD"/mod_*.so)
instrumented=${SANITIZE:-}
! nm "$BUILD/outbox-relay" | grep -q __gcov_ || instrumented=coverage

segments() { readelf -lW "$1"; }
dynamic() { readelf -dW "$1"; }
imports() { readelf -sW --dyn-syms "$1" | awk '$7 == "UND" { sub(/@.*/, "", $8); print $8 }'; }

is_independent() { readelf -hW "$1" | grep -q 'Type: *DYN'; }
is_pie() { dynamic "$1" | grep -q 'FLAGS_1.*PIE'; }
is_relro() { segments "$1" | grep -q GNU_RELRO; }
binds_now() { dynamic "$1" | grep -qE 'BIND_NOW|FLAGS_1.*NOW'; }
stack_is_data() { segments "$1" | grep GNU_STACK | grep -q ' RW  *0x' && ! segments "$1" | grep GNU_STACK | grep -q RWE; }
nothing_is_written_and_run() { ! segments "$1" | grep -E '^ *LOAD' | grep -q 'RWE'; }
has_canaries() { imports "$1" | grep -qx '__stack_chk_fail'; }
is_fortified() { imports "$1" | grep -q '_chk$' && ! imports "$1" | grep -qxE 'strcpy|strcat|sprintf|vsprintf|gets'; }
has_no_path() { ! dynamic "$1" | grep -qE 'RPATH|RUNPATH|TEXTREL'; }

for file in "${programs[@]}" "${libraries[@]}"; do
    [ -e "$file" ] || continue
    name=$(basename "$file")
    ok "$name is position-independent" is_independent "$file"
    ok "$name: relocations are read-only once it runs" is_relro "$file"
    ok "$name: everything is bound at start" binds_now "$file"
    ok "$name: its stack is no code" stack_is_data "$file"
    ok "$name: nothing is written and run" nothing_is_written_and_run "$file"
    ok "$name: no path to libraries, no relocation in code" has_no_path "$file"
    if [ -n "$instrumented" ]; then
        skip "$name: canaries and checked calls" "built for $instrumented, which brings its own"
    else
        ok "$name: functions with arrays have canaries" has_canaries "$file"
        ok "$name: copies into arrays are checked" is_fortified "$file"
    fi
done
for file in "${programs[@]}"; do ok "$(basename "$file") is a position-independent executable" is_pie "$file"; done

exported() { nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort; }
needed() { dynamic "$1" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' | grep -v '^ld-linux' | sort | xargs; }
if [ -n "$instrumented" ]; then
    skip 'what the libraries export and need' "built for $instrumented, which adds to it"
else
    for file in "$BUILD"/liboutbox*.so.0; do
        is "$(basename "$file") exports outbox_* alone" "$(exported "$file" | grep -v '^outbox_')" ''
    done
    is 'liboutbox needs SQLite and libc alone' "$(needed "$BUILD/liboutbox.so.0")" 'libc.so.6 libsqlite3.so.0'
fi
done_testing
