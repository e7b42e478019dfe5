#!/usr/bin/env bash
# Kills and errors at each fourth system call of the relay (at each twelfth under a sanitizer, which makes it slow);
# `make torture T=every_syscall` has them all.
EVERY=${EVERY:-$([ -z "${SANITIZE:-}" ] && echo 4 || echo 12)} exec "$(dirname "$0")/../torture/every_syscall"
