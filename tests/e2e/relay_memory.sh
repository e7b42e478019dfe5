#!/usr/bin/env bash
# A sample of the allocations of a run of the relay is refused; `make torture T=out_of_memory` has many more, and for good.
OWN_EVERY=${OWN_EVERY:-20} EVERY=${EVERY:-1500} WAYS=one LANES=4 exec "$(dirname "$0")/../torture/out_of_memory"
