#!/usr/bin/env bash
# A bad line, for five events at a time; `make torture T=network` has 100.
COUNT=${COUNT:-5} DOWN=${DOWN:-1} exec "$(dirname "$0")/../torture/network"
