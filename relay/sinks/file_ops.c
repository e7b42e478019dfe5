/* file_ops.c — the system's own calls. Decides nothing but to call again after a signal. */
#include "sinks/file_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int open_at(void *arg, int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd;
    (void)arg;
    do
        fd = openat(dir_fd, name, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t write_at(void *arg, int fd, const void *bytes, size_t size, int64_t offset)
{
    ssize_t n;
    (void)arg;
    do
        n = pwrite(fd, bytes, size, offset);
    while (n < 0 && errno == EINTR);
    return n;
}

static int truncate_to(void *arg, int fd, int64_t size)
{
    int rc;
    (void)arg;
    do
        rc = ftruncate(fd, size);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* Proves nothing and reports nothing: what went wrong is told by the sync that follows. */
static void start_sync(void *arg, int fd, int64_t offset, size_t size)
{
    (void)arg;
    sync_file_range(fd, offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

static int sync_data(void *arg, int fd)
{
    (void)arg;
    return fdatasync(fd); /* never called again on an error, EINTR or not: a second answer proves nothing */
}

static int sync_dir(void *arg, int dir_fd)
{
    (void)arg;
    return fsync(dir_fd);
}

static int rename_at(void *arg, int dir_fd, const char *from, const char *to)
{
    (void)arg;
    int rc = renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE);
    if (rc < 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* This file system can't promise it in one call. The stream's lock keeps other writers out. */
        if (faccessat(dir_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            errno = EEXIST;
            return -1;
        }
        rc = renameat(dir_fd, from, dir_fd, to);
    }
    return rc;
}

static int unlink_at(void *arg, int dir_fd, const char *name)
{
    (void)arg;
    return unlinkat(dir_fd, name, 0);
}

static int64_t now_us(void *arg)
{
    struct timespec now;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const struct file_ops file_ops_system = {
    .open_at = open_at,
    .write_at = write_at,
    .truncate = truncate_to,
    .start_sync = start_sync,
    .sync_data = sync_data,
    .sync_dir = sync_dir,
    .rename_at = rename_at,
    .unlink_at = unlink_at,
    .now_us = now_us,
    .beside = true,
};
