#!/usr/bin/env bash
# Syncs of half a second over 20,000 events; `make torture T=slow_sync` has 500,000.
[ -z "${SANITIZE:-}" ] || export SLACK_MS=10000 # its batches are slow, and small
export SLACK_MS=${SLACK_MS:-5000} # a sync for each batch would take twelve seconds; the machine may be busy
EVENTS=${EVENTS:-20000} exec "$(dirname "$0")/../torture/slow_sync"
