/* wal_syncs.h — counts the syncs of a WAL in this process, and fails them on demand. A test program includes this once. */
#ifndef TESTS_SUPPORT_WAL_SYNCS_H
#define TESTS_SUPPORT_WAL_SYNCS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SQLite syncs through libc; the program's own fdatasync comes first. Counts those of the WAL, or fails on demand. */
static int sync_count, sync_error;
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name);
    if (n > 4 && !memcmp(name + n - 4, "-wal", 4))
        sync_count++;
    if (sync_error) {
        errno = sync_error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

#endif
