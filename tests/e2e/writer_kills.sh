#!/usr/bin/env bash
# Six times two writers are killed; `make torture T=kill_writers` has 200.
COUNT=${COUNT:-6} exec "$(dirname "$0")/../torture/kill_writers"
