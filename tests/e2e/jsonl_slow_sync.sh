#!/usr/bin/env bash
# Syncs of half a second over 20,000 events; `make torture T=slow_sync` has 500,000.
EVENTS=${EVENTS:-20000} exec "$(dirname "$0")/../torture/slow_sync"
