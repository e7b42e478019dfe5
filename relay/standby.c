/* standby.c — the hot standby; see standby.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "standby.h"

enum {
    LOOK_AGAIN_MS = 2000, /* should a notice be missed; without inotify: */
    POLL_MS = 1000,
    TRIES_AFTER_NOTICE = 50 /* a millisecond apart: the kernel drops the lock just after it tells us, but for a machine
                             * so busy that it drops the holder in between: then we look again */
};

static enum standby_result lock_failed(const char *path, int error, char *reason, size_t reason_size)
{
    snprintf(reason, reason_size, "lock file %s: %s", path, strerror(error));
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case EISDIR:
    case ENAMETOOLONG: return STANDBY_BROKEN;
    default: return STANDBY_LATER;
    }
}

static enum lock_result try_for_a_moment(struct lock *lock, const char *path)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    enum lock_result result = lock_try(lock, path);
    for (int i = 0; result == LOCK_TAKEN && i < TRIES_AFTER_NOTICE; i++) {
        nanosleep(&pause, NULL);
        result = lock_try(lock, path);
    }
    return result;
}

/* Waits for the holder's end, a stop, or a while: on the whole, for under traffic there is always something to wake for.
 * True: the holder may be gone. */
static bool wait_for_holder(int watch_fd, struct wake *wake, const atomic_bool *stop)
{
    int64_t until_us = clock_monotonic_us() + (watch_fd < 0 ? POLL_MS : LOOK_AGAIN_MS) * INT64_C(1000);
    for (;;) {
        struct pollfd fds[] = {{.fd = watch_fd, .events = POLLIN}, {.fd = wake_fd(wake), .events = POLLIN}};
        int left_ms = clock_poll_ms(until_us, clock_monotonic_us());
        int ready = poll(fds, 2, left_ms);
        if (ready > 0 && fds[1].revents)
            wake_drain(wake); /* mostly the holder's own commits */
        if (*stop)
            return false;
        if (ready > 0 && watch_fd >= 0 && fds[0].revents)
            return true;
        if (left_ms == 0)
            return false;
    }
}

enum standby_result standby_wait(struct lock *lock, const char *path, const char *consumer, bool patient,
                                 struct wake *wake, const atomic_bool *stop, char *reason, size_t reason_size)
{
    bool said = false, noticed = false;
    while (!*stop) {
        /* The watch comes first: a holder that ends between the two is noticed. */
        int watch_fd = lock_watch(path);
        enum lock_result result = noticed ? try_for_a_moment(lock, path) : lock_try(lock, path);
        int error = errno;
        if (result == LOCK_TAKEN && !said) {
            char holder[160];
            lock_holder(path, holder, sizeof holder);
            snprintf(reason, reason_size, "held by %s", holder);
            if (patient)
                log_write(LOG_LEVEL_INFO, consumer, "%s; waiting to take over", reason);
            said = true;
        }
        if (result == LOCK_TAKEN && patient)
            noticed = wait_for_holder(watch_fd, wake, stop);
        if (watch_fd >= 0)
            close(watch_fd);
        if (result == LOCK_HELD) {
            if (said)
                log_write(LOG_LEVEL_INFO, consumer, "taken over");
            return STANDBY_HELD;
        }
        if (result == LOCK_ERROR)
            return lock_failed(path, error, reason, reason_size);
        if (!patient)
            return STANDBY_TAKEN;
    }
    return STANDBY_STOPPED;
}
