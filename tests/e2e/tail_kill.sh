#!/usr/bin/env bash
# 20 kills of a reader of the files over rotations; `make torture T=kill_reader` has 200.
COUNT=${COUNT:-20} exec "$(dirname "$0")/../torture/kill_reader"
