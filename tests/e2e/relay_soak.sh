#!/usr/bin/env bash
# Five seconds of load and faults; `make torture T=soak` has ten minutes.
COUNT=${COUNT:-5} EVERY_S=${EVERY_S:-1} exec "$(dirname "$0")/../torture/soak"
