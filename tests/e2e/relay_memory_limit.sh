#!/usr/bin/env bash
# Three relays that the kernel kills for want of memory; `make torture T=memory_limit` has 20.
COUNT=${COUNT:-3} exec "$(dirname "$0")/../torture/memory_limit"
