# postgresql.sh — a PostgreSQL cluster of a peer's own, every commit synced; sourced after peer.sh.
# shellcheck shell=bash
PATH=$PATH:$(printf '%s:' /usr/lib/postgresql/*/bin)

# It does not run as root.
as_itself() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi; }
stop() { as_itself pg_ctl -D "$PEER_DIR/data" -m immediate stop; }

# postgresql_needs NAME FILE: FILE below what PostgreSQL installs, or NAME is not there.
postgresql_needs() {
    compgen -G "/usr/lib/postgresql/*/$2" >/dev/null || compgen -G "/usr/share/postgresql/*/$2" >/dev/null && return
    printf '%-52s not installed, nothing measured\n' "$1"
    exit 0
}

postgresql_version() { postgres --version | awk '{ print "PostgreSQL", $3 }'; }

# postgresql_start [SETTING…]: in $PEER_DIR, on a socket there, as user bench.
postgresql_start() {
    local options="-c listen_addresses= -c unix_socket_directories=$PEER_DIR/socket" setting
    for setting; do options+=" -c $setting"; done
    chmod 755 "$PEER_DIR"
    mkdir "$PEER_DIR/data" "$PEER_DIR/socket"
    [ "$(id -u)" != 0 ] || chown nobody:nogroup "$PEER_DIR/data" "$PEER_DIR/socket"
    cd "$PEER_DIR" || exit
    export PGHOST=$PEER_DIR/socket PGUSER=bench PGDATABASE=postgres
    as_itself initdb -D data -A trust -U bench --no-sync >log 2>&1
    as_itself pg_ctl -D data -w -l data/server.log -o "$options" start >>log 2>&1
}
