# node.sh — node with better-sqlite3, where there is one; sourced after tap.sh. As a program it installs it, into
# $BUILD/node, as contrib/node/package.json wants it: `make test-node`.
# shellcheck shell=bash

NODE_PACKAGES=${BUILD:-build}/node/node_modules

# Why the tests of node can't run; nothing where they can.
node_reason() {
    if [ -n "${SANITIZE:-}" ]; then echo "a sanitizer's runtime has to come before node's own"
    elif ! command -v node >/dev/null; then echo "node is not installed"
    elif ! NODE_PATH=$NODE_PACKAGES node -e 'new (require("better-sqlite3"))(":memory:")' 2>/dev/null; then
        echo "better-sqlite3 is not built here: make test-node"
    fi
}

# Bounded: without a network npm would wait for long. node's own headers, where they are, spare another download.
node_install() {
    local headers
    headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
    [ -e "$headers/include/node/node.h" ] && export npm_config_nodedir=$headers
    mkdir -p "$BUILD/node" && cp contrib/node/package.json "$BUILD/node/" &&
        (cd "$BUILD/node" && timeout -k 5 400 npm install --no-audit --no-fund --no-package-lock) </dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    cd "$(dirname "$0")/../.." || exit 2
    BUILD=$(realpath "${BUILD:-build}") && NODE_PACKAGES=$BUILD/node/node_modules
    if ! command -v npm >/dev/null; then
        echo "npm is not installed: the tests of contrib/node will be skipped" >&2
    elif [ -n "$(node_reason)" ]; then
        node_install || echo "npm install failed: the tests of contrib/node will be skipped" >&2
    fi
fi
