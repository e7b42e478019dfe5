#!/usr/bin/env bash
# 60 events to each of 50 endpoints, beside two that are dead; `make torture T=endpoints` has 2000, and is strict about their lag.
COUNT=${COUNT:-60} MOST=${MOST:-10} exec "$(dirname "$0")/../torture/endpoints"
