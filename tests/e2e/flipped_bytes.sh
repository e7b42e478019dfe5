#!/usr/bin/env bash
# A few damaged databases; `make torture T=flip_bytes` has more.
COUNT=${COUNT:-4} exec "$(dirname "$0")/../torture/flip_bytes"
