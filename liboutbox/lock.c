/* lock.c — one holder per lock file, and a wake-up for those who wait when it goes.
 *
 * The kernel keeps the lock; the text in the file is for people. A holder has the file open for writing and nobody else
 * ever has, so that IN_CLOSE_WRITE means "the holder is gone" and a waiter's own tries, or those of another, don't look
 * like that. A child forked by the holder shares the lock until it execs or exits.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOLDER_SIZE = 256, OPEN_FLAGS = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY };

static void close_keeping_errno(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

static enum lock_result lock_fd(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return LOCK_HELD;
    return errno == EWOULDBLOCK ? LOCK_TAKEN : LOCK_ERROR;
}

/* Looks through a descriptor for reading, whose closing no lock_watch takes for the holder's. */
static enum lock_result probe(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | OPEN_FLAGS);
    if (fd < 0)
        return errno == ENOENT ? LOCK_HELD : LOCK_ERROR;
    enum lock_result result = lock_fd(fd);
    close_keeping_errno(fd);
    return result;
}

/* Whether path still names the file behind fd: a lock on a removed file keeps nobody out. */
static enum lock_result still_named(int fd, const char *path)
{
    struct stat ours, named;

    if (fstat(fd, &ours) != 0)
        return LOCK_ERROR;
    if (!S_ISREG(ours.st_mode)) {
        errno = EINVAL;
        return LOCK_ERROR;
    }
    if (lstat(path, &named) != 0)
        return errno == ENOENT ? LOCK_TAKEN : LOCK_ERROR;
    return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino ? LOCK_HELD : LOCK_TAKEN;
}

/* A full disk leaves the text short or empty; the lock holds all the same. A file that has another name too may be
 * anybody's, linked here to have it written over. */
static void write_holder(int fd)
{
    char text[HOLDER_SIZE], host[65] = "";
    struct stat status;

    if (fstat(fd, &status) != 0 || status.st_nlink != 1)
        return;

    gethostname(host, sizeof host - 1);
    int size = snprintf(text, sizeof text, "%ld %s %s\n", (long)getpid(), *host ? host : "?",
                        program_invocation_short_name);
    if (size >= (int)sizeof text)
        size = sizeof text - 1;
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
        return; /* lock_holder says "another process" */
}

enum lock_result lock_try(struct lock *lock, const char *path)
{
    enum { ATTEMPTS = 10 }; /* against somebody who goes on removing the file */

    lock->fd = -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        enum lock_result result = probe(path);
        if (result != LOCK_HELD)
            return result;

        int fd = open(path, O_RDWR | O_CREAT | OPEN_FLAGS, 0640);
        if (fd < 0)
            return LOCK_ERROR;
        result = lock_fd(fd);
        if (result != LOCK_HELD) {
            close_keeping_errno(fd);
            return result;
        }
        result = still_named(fd, path);
        if (result == LOCK_HELD) {
            write_holder(fd);
            lock->fd = fd;
            return LOCK_HELD;
        }
        close_keeping_errno(fd);
        if (result == LOCK_ERROR)
            return LOCK_ERROR;
    }
    return LOCK_TAKEN;
}

void lock_release(struct lock *lock)
{
    if (lock->fd < 0)
        return;
    close(lock->fd); /* drops the lock: no copy of the descriptor is ever made here */
    lock->fd = -1;
}

int lock_watch(const char *path)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0)
        return -1;
    /* A removed or renamed file too: its holder keeps a lock that nobody can find. */
    if (inotify_add_watch(fd, path, IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_DONT_FOLLOW) < 0) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

/* "4711 host program\n" in words; false where it isn't that. */
static bool describe(const char *held, char *text, unsigned size)
{
    long pid;
    char host[65];

    if (sscanf(held, "%ld %64s", &pid, host) != 2 || pid <= 0)
        return false;
    for (const char *p = host; *p; p++)
        if (*p <= ' ' || *p > '~') /* for a terminal: anybody may have written the file */
            return false;
    snprintf(text, size, "pid %ld on %s", pid, host);
    return true;
}

void lock_holder(const char *path, char *text, unsigned size)
{
    char held[HOLDER_SIZE];
    int fd = open(path, O_RDONLY | O_NONBLOCK | OPEN_FLAGS);
    ssize_t n = fd < 0 ? -1 : read(fd, held, sizeof held - 1);

    if (fd >= 0)
        close(fd);
    held[n > 0 ? n : 0] = '\0';
    if (!describe(held, text, size))
        snprintf(text, size, "another process");
}
