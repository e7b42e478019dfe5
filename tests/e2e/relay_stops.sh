#!/usr/bin/env bash
# Five lives of the relay that end by SIGTERM; `make torture T=stops` has 100.
COUNT=${COUNT:-5} exec "$(dirname "$0")/../torture/stops"
