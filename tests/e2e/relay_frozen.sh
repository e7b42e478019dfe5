#!/usr/bin/env bash
# A relay that is stopped for a second; `make torture T=frozen` has ten minutes.
COUNT=${COUNT:-1} exec "$(dirname "$0")/../torture/frozen"
