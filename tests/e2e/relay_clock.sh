#!/usr/bin/env bash
# Three jumps of the wall clock; `make torture T=clock` has 60.
COUNT=${COUNT:-3} exec "$(dirname "$0")/../torture/clock"
