#!/usr/bin/env bash
# 12 lives of the relay cut short at an answer; `make torture T=kill_answer` has 150.
COUNT=${COUNT:-12} exec "$(dirname "$0")/../torture/kill_answer"
