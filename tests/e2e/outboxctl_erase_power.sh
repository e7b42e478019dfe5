#!/usr/bin/env bash
# The power cut twice when `outboxctl erase` has returned; `make torture T=power_erase` has 20, and one behind each call.
COUNT=${COUNT:-2} EVERY=${EVERY:-0} exec "$(dirname "$0")/../torture/power_erase"
