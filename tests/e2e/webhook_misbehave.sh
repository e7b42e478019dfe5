#!/usr/bin/env bash
# A receiver that misbehaves over 4 lives of the relay, most ended by kill -9; `make torture T=webhooks` has 240.
COUNT=${COUNT:-4} PAUSE_MS=${PAUSE_MS:-60} exec "$(dirname "$0")/../torture/webhooks"
