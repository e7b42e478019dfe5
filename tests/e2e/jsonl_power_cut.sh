#!/usr/bin/env bash
# The power cut twice at random; `make torture T=power_cut` has 100, and one after each system call.
COUNT=${COUNT:-2} EVERY=${EVERY:-0} exec "$(dirname "$0")/../torture/power_cut"
