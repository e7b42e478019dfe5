#!/usr/bin/env bash
# A receiver that misbehaves over 5 lives of the relay, most ended by kill -9; `make torture T=webhooks` has 60.
COUNT=${COUNT:-5} exec "$(dirname "$0")/../torture/webhooks"
