#!/usr/bin/env bash
# A disk that fills up and says yes, once; `make torture T=disk_lies` has it 20 times.
COUNT=${COUNT:-1} exec "$(dirname "$0")/../torture/disk_lies"
