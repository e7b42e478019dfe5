/* disk.h — a disk that fails on demand: at the k-th call that would change it, it returns an error, writes a part, or is
 * gone together with the process; without power, what was not synced is lost too.
 */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/file_ops.h"

enum disk_mode {
    DISK_FINE,
    DISK_FAILS,   /* call number `at` returns -1 and `error`; a sync that fails loses what was not synced */
    DISK_SHORT,   /* write number `at` writes one byte */
    DISK_FULL,    /* no write finds room until a file is deleted */
    DISK_LIES,    /* a sync at call `at` or later says that all is well, and loses what was not synced; once */
    DISK_KILLED,  /* at call `at` the process is gone: a write is done by half, nothing more reaches the disk */
    DISK_NO_POWER /* likewise, and what was not synced is lost */
};

enum power_loss { LOST_BYTES, LOST_TO_ZEROS, LOST_FIRST_PAGE };

struct disk {
    enum disk_mode mode;
    int at, error;
    int times;       /* DISK_FAILS: so many calls in a row; 0: one */
    int killed_at;   /* besides: the process is gone at this call; 0: it isn't */
    int undeletable; /* besides: the error of each deletion; 0: none */
    enum power_loss loss;
    int calls, syncs, truncates; /* so far */
    bool gone;                   /* the process is dead */
    int64_t clock_us;

    bool never_synced;                                           /* by the operator's wish */
    int64_t written_bytes;                                       /* so far */
    int64_t synced_bytes;                                        /* of the active file */
    char unsynced_from[NAME_MAX + 1], unsynced_to[NAME_MAX + 1]; /* a rename that no directory sync has followed */
    char unsynced_new[NAME_MAX + 1];                             /* likewise a new file */
    ino_t failed_inode;                                          /* whose sync has failed; 0: none, or it is unlinked */
    int syncs_after_failure;                                     /* of it */
    const char *planted; /* somebody makes a link to it where the next file is to be created, just before; once */
    bool planted_hard;   /* a hard link */
    struct file_ops ops;
};

static inline bool disk_strikes(struct disk *disk)
{
    disk->calls++;
    if (disk->gone) {
        errno = EIO;
        return true;
    }
    if (disk->calls == disk->killed_at) {
        disk->gone = true;
        errno = EIO;
        return true;
    }
    if (disk->mode == DISK_FINE || disk->mode == DISK_SHORT || disk->mode == DISK_FULL || disk->mode == DISK_LIES ||
        disk->calls < disk->at ||
        disk->calls > disk->at + (disk->mode == DISK_FAILS && disk->times ? disk->times - 1 : 0))
        return false;
    disk->gone = disk->mode == DISK_KILLED || disk->mode == DISK_NO_POWER;
    errno = disk->error ? disk->error : EIO;
    return true;
}

/* The kernel gives up on the pages: they are zeros now, and clean. */
static inline void disk_lose(struct disk *disk, int fd)
{
    static const char zeros[4096];
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    int64_t at = disk->synced_bytes, end = status.st_size;
    if (disk->loss == LOST_BYTES && disk->gone && at < end)
        assert_int_equal(ftruncate(fd, at), 0);
    else if (disk->loss == LOST_FIRST_PAGE && end > at + 100)
        end = at + 100;
    for (; disk->loss != LOST_BYTES && at < end; at += (int64_t)sizeof zeros)
        assert_true(pwrite(fd, zeros, (size_t)(end - at < 4096 ? end - at : 4096), at) > 0);
}

static inline int disk_open_at(void *arg, int dir_fd, const char *name, int flags, mode_t mode)
{
    struct disk *disk = arg;

    if (disk_strikes(disk))
        return -1;
    if (disk->planted && (flags & O_CREAT)) {
        assert_int_equal(disk->planted_hard ? linkat(AT_FDCWD, disk->planted, dir_fd, name, 0)
                                            : symlinkat(disk->planted, dir_fd, name),
                         0);
        disk->planted = NULL;
    }
    int fd = file_ops_system.open_at(NULL, dir_fd, name, flags, mode);
    if (fd >= 0 && (flags & O_CREAT)) {
        if (!disk->never_synced) /* the name before it is durable */
            assert_int_equal(disk->unsynced_from[0], '\0');
        snprintf(disk->unsynced_new, sizeof disk->unsynced_new, "%s", name);
        disk->synced_bytes = 0;
    }
    return fd;
}

static inline ssize_t disk_write_at(void *arg, int fd, const void *bytes, size_t size, int64_t offset)
{
    struct disk *disk = arg;
    bool dead = disk->gone;

    if (disk_strikes(disk)) {
        int error = errno;
        if (disk->gone && !dead)
            assert_true(pwrite(fd, bytes, size / 2, offset) >= 0);
        errno = error;
        return -1;
    }
    if (disk->mode == DISK_FULL) {
        errno = ENOSPC;
        return -1;
    }
    if (disk->mode == DISK_SHORT && disk->calls == disk->at && size > 1)
        size = 1;
    disk->written_bytes += (int64_t)size;
    return pwrite(fd, bytes, size, offset);
}

static inline int disk_truncate(void *arg, int fd, int64_t size)
{
    ((struct disk *)arg)->truncates++;
    return disk_strikes(arg) ? -1 : ftruncate(fd, size);
}

static inline void disk_start_sync(void *arg, int fd, int64_t offset, size_t size)
{
    (void)arg, (void)fd, (void)offset, (void)size; /* a hint that this disk does not take */
}

static inline int disk_sync_data(void *arg, int fd)
{
    struct disk *disk = arg;
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    disk->syncs++;
    disk->syncs_after_failure += status.st_ino == disk->failed_inode;
    if (disk_strikes(disk)) {
        int error = errno;
        if (!disk->gone) {
            disk->failed_inode = status.st_ino;
            disk_lose(disk, fd);
        }
        errno = error;
        return -1;
    }
    if (disk->mode == DISK_LIES && disk->calls >= disk->at) {
        disk->mode = DISK_FINE;
        disk_lose(disk, fd);
        return 0;
    }
    disk->synced_bytes = status.st_size;
    return 0;
}

static inline int disk_sync_dir(void *arg, int dir_fd)
{
    struct disk *disk = arg;

    (void)dir_fd;
    if (disk_strikes(disk))
        return -1;
    disk->unsynced_from[0] = disk->unsynced_new[0] = '\0';
    return 0;
}

static inline int disk_rename_at(void *arg, int dir_fd, const char *from, const char *to)
{
    struct disk *disk = arg;
    struct stat status;

    if (disk_strikes(disk))
        return -1;
    assert_int_equal(fstatat(dir_fd, from, &status, 0), 0);
    if (!disk->never_synced) /* what gets a segment's name is durable as a whole */
        assert_int_equal(status.st_size, disk->synced_bytes);
    snprintf(disk->unsynced_from, sizeof disk->unsynced_from, "%s", from);
    snprintf(disk->unsynced_to, sizeof disk->unsynced_to, "%s", to);
    return file_ops_system.rename_at(NULL, dir_fd, from, to);
}

static inline int disk_unlink_at(void *arg, int dir_fd, const char *name)
{
    struct disk *disk = arg;

    if (disk_strikes(disk))
        return -1;
    if (disk->undeletable) {
        errno = disk->undeletable;
        return -1;
    }
    disk->failed_inode = 0;
    if (disk->mode == DISK_FULL)
        disk->mode = DISK_FINE;
    return unlinkat(dir_fd, name, 0);
}

static inline int64_t disk_now_us(void *arg)
{
    struct disk *disk = arg;
    return disk->clock_us;
}

static inline void disk_init(struct disk *disk)
{
    *disk = (struct disk){.clock_us = 1000000000};
    disk->ops = (struct file_ops){disk_open_at,   disk_write_at, disk_truncate,  disk_start_sync,
                                  disk_sync_data, disk_sync_dir, disk_rename_at, disk_unlink_at,
                                  disk_now_us,    disk,          false};
}

#endif
