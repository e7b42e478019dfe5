#!/usr/bin/env bash
# Killed at each twelfth system call; `make torture T=erase_kill` has them all.
EVERY=${EVERY:-12} exec "$(dirname "$0")/../torture/erase_kill"
