#!/usr/bin/env bash
# An application killed and refused at some of its system calls; `make torture T=every_write` has them all.
EVERY=${EVERY:-24} exec "$(dirname "$0")/../torture/every_write"
