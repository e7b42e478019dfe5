# power.sh — a disk whose power can be cut: an image of ext4, or of $POWER_FS, mounted through a loop device in a mount
# namespace of its own. Sourced after common.sh.
#
# The cut is the file system's own shutdown (ext4 and XFS have the same), without flushing its journal: what no sync has
# asked for is gone. Who was writing is stopped first, so that nothing happens between the cut and its end.
# shellcheck shell=bash

POWER=$TMP/power

power_on() { mount -o loop "$TMP/disk.img" "$POWER"; }

# Makes the disk and switches it on; false where that isn't allowed.
power_install() {
    local mkfs=mkfs.${POWER_FS:-ext4}
    [ "$(id -u)" = 0 ] && command -v "$mkfs" >/dev/null || return
    mkdir "$POWER" && truncate -s 320M "$TMP/disk.img" && "$mkfs" -q "$TMP/disk.img" && power_on 2>/dev/null
}

# stop_at_ack DB PID…: stops these at the next moment in which the relay's cursor is seen to have moved.
stop_at_ack() {
    python3 - "$@" <<'END'
import os, signal, sqlite3, sys, time
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10)
def acked():
    try:
        return db.execute("SELECT max(acked_seq) FROM consumer_offsets").fetchone()[0]
    except sqlite3.Error:
        return None
was, until = acked(), time.monotonic() + 5
while time.monotonic() < until and acked() in (None, was):
    pass
for pid in map(int, sys.argv[2:]):
    os.kill(pid, signal.SIGSTOP)
END
}

# power_cut PID…: these are stopped, then gone, and the disk is back with what it had on stable storage.
power_cut() {
    kill -STOP "$@" 2>/dev/null
    python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))' "$POWER"
    kill -9 "$@" 2>/dev/null
    wait "$@" 2>/dev/null
    await 10 umount "$POWER" && power_on
}
