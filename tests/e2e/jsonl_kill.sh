#!/usr/bin/env bash
# 20 kills of the relay under three writers; `make torture T=kill_relay` has 200.
COUNT=${COUNT:-20} exec "$(dirname "$0")/../torture/kill_relay"
