/* file_ops.h — the calls that change a file or a directory, and the clock, behind one table.
 *
 * What a disk can do to a stream (fail at the k-th call, write half, lose what was not synced) is tested by a table of
 * the test's own. Reading is not here: a read that fails is tried again, whatever it was.
 */
#ifndef RELAY_SINKS_FILE_OPS_H
#define RELAY_SINKS_FILE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As the system calls: -1 and errno. A call interrupted by a signal is made again by the implementation. */
struct file_ops {
    int (*open_at)(void *arg, int dir_fd, const char *name, int flags, mode_t mode);
    ssize_t (*write_at)(void *arg, int fd, const void *bytes, size_t size, int64_t offset); /* may write less */
    int (*truncate)(void *arg, int fd, int64_t size);
    void (*start_sync)(void *arg, int fd, int64_t offset, size_t size); /* a hint: the disk may begin now */
    int (*sync_data)(void *arg, int fd);
    int (*sync_dir)(void *arg, int dir_fd);
    int (*rename_at)(void *arg, int dir_fd, const char *from, const char *to); /* never over an existing file: EEXIST */
    int (*unlink_at)(void *arg, int dir_fd, const char *name);
    int64_t (*now_us)(void *arg); /* monotonic */
    void *arg;
    bool beside; /* sync_data may be called by another thread, while other calls are made */
};

extern const struct file_ops file_ops_system;

/* What failed, for one line of words. */
struct file_fault {
    const char *what; /* static: "write", "sync", …; NULL: nothing failed */
    int error;        /* errno; 0: what says it all */
};

#endif
