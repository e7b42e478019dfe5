#!/usr/bin/env bash
# Six ends or stops of the relay that holds the lock, with another beside it; `make torture T=takeovers` has 100.
COUNT=${COUNT:-6} exec "$(dirname "$0")/../torture/takeovers"
