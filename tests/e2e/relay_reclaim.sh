#!/usr/bin/env bash
# 20,000 events are reclaimed beside a writer, over kills; `make torture T=reclaim` has a million, and holds the writer to
# 50 ms, which beside other tests would be a judgement on them.
MOST_MS=2000 COUNT=${COUNT:-20000} exec "$(dirname "$0")/../torture/reclaim"
