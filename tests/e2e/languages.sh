#!/usr/bin/env bash
# 16 writers in C, Python and the shell for 2 seconds; `make torture T=languages` has a minute.
COUNT=${COUNT:-2} exec "$(dirname "$0")/../torture/languages"
