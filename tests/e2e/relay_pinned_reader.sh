#!/usr/bin/env bash
# A second of a reader that does not end; `make torture T=pinned_reader` has five minutes.
COUNT=${COUNT:-1} exec "$(dirname "$0")/../torture/pinned_reader"
