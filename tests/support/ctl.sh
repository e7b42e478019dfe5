# ctl.sh — outboxctl under test, for end-to-end scripts; sourced after tap.sh and relay.sh.
# shellcheck shell=bash

# ctl ARGUMENT…: with nobody to ask; printed, said and $code.
ctl() {
    timeout -k 5 60 outboxctl --db "$DB" "$@" >"$TMP/printed" 2>"$TMP/said" </dev/null
    code=$?
}
