/* stream_lock.c — the one or two lock files of a JSONL stream; see stream_lock.h. What a lock is, lock.h says.
 *
 * Invariant: both are held, or neither, so that who waits for the one holds nobody up with the other. No try blocks, so
 * the order is free; the file's comes first, for the words: most who wait, wait for the same stream.
 */
#include "stream_lock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

enum lock_result stream_lock_try(struct stream_lock *lock, const struct stream_path *path, const char **which)
{
    *lock = STREAM_LOCK_NONE;
    *which = path->lock;
    enum lock_result result = lock_try(&lock->file, path->lock);
    if (result != LOCK_HELD || !path->names_lock)
        return result;

    *which = path->names_lock;
    result = lock_try(&lock->names, path->names_lock);
    if (result != LOCK_HELD) {
        int error = errno;
        lock_release(&lock->file);
        errno = error;
    }
    return result;
}

static bool is_current(const struct lock *lock, const char *path)
{
    struct stat held, there;

    return lock->fd >= 0 && fstat(lock->fd, &held) == 0 && stat(path, &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}

bool stream_lock_is_current(const struct stream_lock *lock, const struct stream_path *path)
{
    return is_current(&lock->file, path->lock) && (!path->names_lock || is_current(&lock->names, path->names_lock));
}

void stream_lock_release(struct stream_lock *lock)
{
    lock_release(&lock->names);
    lock_release(&lock->file);
}
