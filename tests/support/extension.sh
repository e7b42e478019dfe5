# extension.sh — mod_outbox.so in other people's programs, for end-to-end scripts; sourced after tap.sh.
# shellcheck shell=bash disable=SC2034

export OUTBOX_EXTENSION=$BUILD/mod_outbox.so

# A sanitized extension wants its runtime to be there first; its hosts' own leaks are none of ours.
if [ -n "${SANITIZE:-}" ]; then
    case $SANITIZE in *thread*) runtime=libtsan.so ;; *) runtime=libasan.so ;; esac
    HOST_PRELOAD=$(cc -print-file-name=$runtime)
    export ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0
fi
host() { if [ -n "${HOST_PRELOAD:-}" ]; then LD_PRELOAD=$HOST_PRELOAD "$@"; else "$@"; fi; }

# python3 that can load extensions: pyenv's often can't.
PYTHON=
for python in python3 /usr/bin/python3; do
    if command -v "$python" >/dev/null && "$python" -c 'import sqlite3; sqlite3.connect(":memory:").enable_load_extension' 2>/dev/null; then
        PYTHON=$python
        break
    fi
done
no_python="no python3 whose sqlite3 loads extensions"
