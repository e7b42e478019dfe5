#!/usr/bin/env bash
# tail -F and rsyslog through 5 rotations; `make torture T=follow` has 50.
COUNT=${COUNT:-5} exec "$(dirname "$0")/../torture/follow"
